"""Chat at the terminal: the question, the events of its answer, and their drawing."""
