"""What people type in a chat: platform updates translated into Paperboy's commands."""
