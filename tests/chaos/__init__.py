"""Paperboy proved by breaking it: `make chaos`.

Real processes are killed, stopped and cut off, on real stores and real chat sockets; the model is scripted and the
clock is a file that the experiment writes. An experiment is one file here and one line in `tests.chaos.experiments`.
"""
