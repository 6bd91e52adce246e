"""Making what a template has besides functions: queues, buckets, and who may send mail."""

from email.utils import parseaddr

from local.services.endpoint import Endpoint
from local.template.stack import Stack


async def provide(stack: Stack, aws: Endpoint) -> None:
    """Make what is missing and set each queue as the template says, as often as you like; raises `ServiceFailed`.

    What the template has no longer is left with what is in it.
    """
    for queue in stack.queues.values():
        await aws.sqs("CreateQueue", QueueName=queue.name, Attributes={"FifoQueue": "true"} if queue.is_fifo else {})
    # Now that a queue's dead letters have a place to go to.
    for queue in stack.queues.values():
        await aws.sqs("SetQueueAttributes", QueueUrl=queue.url, Attributes=dict(queue.attributes))
    for bucket in stack.buckets.values():
        await aws.make_bucket(bucket.name)
        await aws.notify(bucket)
    if stack.mail_from:
        await aws.make_sender(parseaddr(stack.mail_from)[1])
