"""Every cold request waits for this function, so it must not load what it does not need."""

import json
import subprocess
import sys

CODE = "import sys, json, functions.authorizer.app; print(json.dumps(list(sys.modules)))"
# Powertools itself imports the bare `botocore`, which is next to nothing; a client of it would be 0.2 s.
HEAVY = {
    "fastapi",
    "starlette",
    "mangum",
    "pydantic",
    "pydantic_core",
    "sqlalchemy",
    "psycopg",
    "boto3",
    "botocore.session",
    "openai",
    "httpx",
}


def test_the_authorizer_loads_nothing_heavy():
    variables = {"PARLEY_JWKS_URL": "", "PARLEY_ISSUER": "i", "POWERTOOLS_SERVICE_NAME": "authorizer"}
    done = subprocess.run([sys.executable, "-c", CODE], env=variables, capture_output=True, text=True, check=True)

    assert {"jwt", "cryptography"} <= set(json.loads(done.stdout))
    assert HEAVY & set(json.loads(done.stdout)) == set()
