"""How good all of that is: measures of an order of papers, and of how well deep dives rest on their papers. Pure."""
