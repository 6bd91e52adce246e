"""An identity provider that calls the SCIM routes, and the requests of RFC 7644, Okta and Entra."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.support.api_gateway import Answer, Function

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


@dataclass(frozen=True)
class Provider:
    """The identity provider with its token."""

    auth: Function
    token: str

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json; charset=utf-8"}
        return self.auth.call(method, f"/scim/v2{path}", body, headers=headers)

    def create(self, email: str, **fields: Any) -> dict[str, Any]:
        """Create a user, and return it."""
        answer = self.call("POST", "/Users", {"schemas": [USER], "userName": email, **fields})
        assert answer.status == 201, answer.body
        return dict(answer.json)

    def create_group(self, name: str, *ids: str, **fields: Any) -> dict[str, Any]:
        """Create a group with these members, and return it."""
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": id} for id in ids], **fields}
        answer = self.call("POST", "/Groups", body)
        assert answer.status == 201, answer.body
        return dict(answer.json)

    def find(self, kind: str, filter: str, **query: str) -> list[str]:
        """Return the ids that a filter finds."""
        more = "".join(f"&{name}={value}" for name, value in query.items())
        answer = self.call("GET", f"/{kind}?filter={quote(filter)}{more}")
        assert answer.status == 200, answer.body
        return [one["id"] for one in answer.json["Resources"]]

    def patch(self, path: str, *operations: dict[str, Any]) -> Answer:
        return self.call("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    def members(self, group: dict[str, Any]) -> set[str]:
        """Return the ids of a group's members."""
        return {one["value"] for one in self.call("GET", f"/Groups/{group['id']}").json.get("members", [])}


def refusal(answer: Answer) -> tuple[int, str | None]:
    """Return the status and SCIM's reason of an error, whose form is checked."""
    document = json.loads(answer.body)
    assert answer.headers["content-type"] == "application/scim+json"
    assert (document["schemas"], document["status"]) == ([ERROR], str(answer.status))
    assert document["detail"]
    return answer.status, document.get("scimType")
