"""What invokes functions without a request: schedules and SQS queues."""
