"""Who may register: open, by invite or closed, and from which e-mail domains."""

from dataclasses import dataclass
from typing import Literal

from functions.auth.errors import EmailDomainRefused, InvalidInvite, RegistrationClosed

type RegistrationMode = Literal["open", "invite", "closed"]


@dataclass(frozen=True, slots=True)
class RegistrationPolicy:
    """The deployment's choice. The admin's own address is always let in: somebody must be the first."""

    registration: RegistrationMode
    domains: frozenset[str]
    admin_email: str
    verifies_email: bool

    @classmethod
    def of(cls, registration: RegistrationMode, *, domains: str, admin_email: str, verifies_email: bool) -> "RegistrationPolicy":
        """Read the settings; `domains` are separated by commas."""
        named = frozenset(domain.strip().lower().removeprefix("@") for domain in domains.split(",") if domain.strip())
        return cls(registration, named, admin_email.strip().lower(), verifies_email)

    def check(self, email: str, *, has_invite: bool) -> None:
        """Raise RegistrationClosed, InvalidInvite or EmailDomainRefused unless `email` may register."""
        if email == self.admin_email:
            return
        if self.registration == "closed":
            raise RegistrationClosed
        if self.registration == "invite" and not has_invite:
            raise InvalidInvite("none given")
        self.check_domain(email)

    def check_domain(self, email: str) -> None:
        """Raise EmailDomainRefused unless accounts may have an address of this domain."""
        domain = email.rpartition("@")[2]
        if self.domains and domain not in self.domains and email != self.admin_email:
            raise EmailDomainRefused(domain)

    def needs_invite(self, email: str) -> bool:
        """Whether an invite must be used up for this address."""
        return self.registration == "invite" and email != self.admin_email

    def role_of(self, email: str) -> str:
        """Return the role of a new account."""
        return "admin" if email == self.admin_email else "user"
