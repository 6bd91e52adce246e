"""AWS services behind plain interfaces; boto3 is imported when a service is first called."""
