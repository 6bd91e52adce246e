"""A function that offers tools imports `cryptography` only for a user's own MCP server, whose headers are encrypted."""

import subprocess
import sys

CODE = """
import sys
from uuid import uuid4
from parley.auth.encryption import TextCipher
from parley.tools.mcp_discovery import discover
from parley.tools.mcp_registry import decrypt_credentials, encrypt_credentials
cipher, ids = TextCipher(lambda: bytes(32)), (uuid4(), uuid4())
print({"cryptography", "jwt"} & sys.modules.keys())
encrypted = encrypt_credentials(cipher, {"X-Key": "k"}, ids[0], user_id=ids[1])
print(decrypt_credentials(cipher, encrypted, ids[0], user_id=ids[1]), "cryptography" in sys.modules)
"""


def test_cryptography_is_imported_with_the_first_secret():
    done = subprocess.run([sys.executable, "-c", CODE], env={"POWERTOOLS_SERVICE_NAME": "t"}, capture_output=True, check=True, text=True)

    assert done.stdout.splitlines() == ["set()", "({'X-Key': 'k'}, '') True"]
