"""What is read is checked where it is read, by one module a kind; errors name file and line.

Nothing is unpickled, and nothing that is wrong passes silently.
"""
