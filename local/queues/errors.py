"""SQS's errors, with the codes that the AWS SDKs see.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
"""


class SqsError(Exception):
    """A refused call. `shape` is the error's name in the JSON protocol, `code` the name that SDKs show (they keep the older one)."""

    def __init__(self, shape: str, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.shape = shape
        self.code = code or shape
        self.message = message


class QueueMissing(SqsError):
    """There is no queue of this name."""

    def __init__(self) -> None:
        super().__init__("QueueDoesNotExist", "The specified queue does not exist.", code="AWS.SimpleQueueService.NonExistentQueue")


class QueueExists(SqsError):
    """A queue of this name exists with other attributes."""

    def __init__(self) -> None:
        super().__init__("QueueNameExists", "The specified queue already exists.", code="QueueAlreadyExists")


class HandleInvalid(SqsError):
    """The receipt handle was not issued for a message of this queue."""

    def __init__(self) -> None:
        super().__init__("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")


class ParameterInvalid(SqsError):
    """A parameter has a value that SQS does not accept."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidParameterValueException", message, code="InvalidParameterValue")
