"""The authorizer's imports. Every request waits for its cold start, so it must not import needless modules."""

import json
import subprocess
import sys

CODE = "import sys, json, functions.authorizer.app; print(json.dumps(list(sys.modules)))"
# Powertools imports the bare `botocore` package, which is cheap; a client would take 0.2 s.
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


def test_the_authorizer_imports_no_heavy_module():
    variables = {"PARLEY_JWKS_URL": "https://api.example.com/jwks", "PARLEY_ISSUER": "i", "POWERTOOLS_SERVICE_NAME": "authorizer"}
    done = subprocess.run([sys.executable, "-c", CODE], env=variables, capture_output=True, text=True, check=True)

    assert {"jwt", "cryptography"} <= set(json.loads(done.stdout))
    assert HEAVY & set(json.loads(done.stdout)) == set()
