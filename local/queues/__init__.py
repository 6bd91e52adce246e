"""SQS's part of the emulator: durable standard queues, their HTTP endpoint for the AWS SDKs, and their in-process consumers.

moto is not used for SQS, because each of its calls takes 10 to 30 ms of CPU and it loses its messages on exit. A test runs the
same calls against both: `tests/local/queues/test_same_as_moto.py`.
"""
