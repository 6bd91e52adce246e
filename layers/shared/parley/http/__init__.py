"""The parts that HTTP functions share: app, middleware, errors, dependencies, and the Lambda entry points."""
