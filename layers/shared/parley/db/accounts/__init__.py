"""Accounts: users and what opens their accounts.

Transactions lock the rows of an account in this order, so that no two of them deadlock:

1. one-time codes,
2. the credentials: shared by what starts or adds access, such as logins, passkeys and consents, alone by what changes or ends it,
3. the second factor, its recovery codes, passkeys and identities at issuers,
4. the user, if the account is disabled,
5. sessions and API keys,
6. the user, if the address changes,
7. the buckets of the login throttle.

The lock of an issuer's session comes before all of them.
"""
