"""SQL of SCIM: accounts, groups and tokens of the deployment's identity provider."""
