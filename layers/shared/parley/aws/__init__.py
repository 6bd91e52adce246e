"""AWS services behind plain interfaces; botocore is imported when a service is first called."""
