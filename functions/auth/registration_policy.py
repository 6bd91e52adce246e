"""The registration policy: the mode (open, invite or closed) and the allowed email domains."""

from dataclasses import dataclass
from typing import Literal

from functions.auth.errors import EmailDomainRefused, InvalidInvite, RegistrationClosed

type RegistrationMode = Literal["open", "invite", "closed"]


@dataclass(frozen=True, slots=True)
class RegistrationPolicy:
    """The deployment's rules. The configured admin address may always register, so that a first account can be created."""

    registration: RegistrationMode
    domains: frozenset[str]
    admin_email: str
    verifies_email: bool

    @classmethod
    def of(cls, registration: RegistrationMode, *, domains: str, admin_email: str, verifies_email: bool) -> "RegistrationPolicy":
        """Build the policy from settings. `domains` is a comma-separated list; an empty list allows all domains."""
        allowed = frozenset(domain.strip().lower().removeprefix("@") for domain in domains.split(",") if domain.strip())
        return cls(registration, allowed, admin_email.strip().lower(), verifies_email)

    def check(self, email: str, *, has_invite: bool) -> None:
        """Raise RegistrationClosed, InvalidInvite or EmailDomainRefused unless `email` may register."""
        if email == self.admin_email:
            return
        if self.registration == "closed":
            raise RegistrationClosed
        if self.registration == "invite" and not has_invite:
            raise InvalidInvite("no invite given")
        self.check_domain(email)

    def check_domain(self, email: str) -> None:
        """Raise EmailDomainRefused unless the domain of `email` is allowed."""
        domain = email.rpartition("@")[2]
        if self.domains and domain not in self.domains and email != self.admin_email:
            raise EmailDomainRefused(domain)

    def needs_invite(self, email: str) -> bool:
        """Whether registering this address uses up an invite."""
        return self.registration == "invite" and email != self.admin_email

    def role_of(self, email: str) -> str:
        """Return the role of a new account with this address."""
        return "admin" if email == self.admin_email else "user"
