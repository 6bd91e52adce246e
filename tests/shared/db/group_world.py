"""People and groups in an open transaction of the superuser, whom no policy restricts."""

from datetime import timedelta

from sqlalchemy import func, insert, text

from parley.db.tables import credentials, group_invitations, group_members, groups, users
from parley.errors import NotFound
from parley.ids import new_id

PEOPLE = ("ann", "bea", "cat", "dan", "eve")
# The members of each group, in the order in which they joined.
MEMBERS = {
    "Birds": {"ann": "owner", "cat": "member", "bea": "member"},
    "Stars": {"ann": "owner", "bea": "member", "cat": "owner"},
    "Moons": {"dan": "owner", "eve": "member"},
    "Hobby": {"ann": "owner"},
    "Diary": {"dan": "owner"},
    "Sales": {"ann": "member", "bea": "member"},
    "Staff": {"ann": "member"},
    "Empty": {},
    "Waste": {},
}
# The identity provider manages these: they have no owner.
MANAGED = {"Sales", "Staff"}
# These have a budget.
PAYING = {"Birds"}
INVITED = [("Birds", "dan"), ("Birds", "eve"), ("Stars", "dan"), ("Moons", "bea")]
_ROWS = text(
    """
    SELECT name || coalesce(' with ' || trim_scale(monthly_budget_usd) || ' USD', '') FROM groups WHERE id = ANY(:ids)
    UNION ALL
    SELECT g.name || ': ' || split_part(u.email, '@', 1) || ' ' || m.role || CASE WHEN m.pays THEN ', pays' ELSE '' END
      FROM group_members m JOIN groups g ON g.id = m.group_id JOIN users u ON u.id = m.user_id WHERE g.id = ANY(:ids)
    UNION ALL
    SELECT g.name || ': ' || split_part(i.email, '@', 1) || ' invited' FROM group_invitations i JOIN groups g ON g.id = i.group_id
     WHERE g.id = ANY(:ids)
    """
)


def address(name):
    return f"{name}@rows.example"


class World:
    """The people and groups. The attributes are their ids, by name."""

    def __init__(self, connection):
        self.connection = connection
        self.__dict__ |= (ids := {name: new_id() for name in (*PEOPLE, *MEMBERS)})
        self._group_ids = [ids[name] for name in MEMBERS]
        self._names = {id: name for name, id in ids.items()}
        self.insert(users, [{"id": ids[name], "email": address(name)} for name in PEOPLE])
        self.insert(credentials, [{"user_id": ids[name], "password_hash": ""} for name in PEOPLE])
        for name in MEMBERS:
            budget = 5 if name in PAYING else None
            self.insert(groups, [{"id": ids[name], "name": name, "is_managed": name in MANAGED, "monthly_budget_usd": budget}])
        for name, members in MEMBERS.items():
            for days, person in enumerate(reversed(members)):
                values = {"group_id": ids[name], "user_id": ids[person], "role": members[person], "pays": name in PAYING}
                self.insert(group_members, [values | {"created_at": func.now() - timedelta(days=days)}])
        self.insert(group_invitations, [{"group_id": ids[name], "email": address(person)} for name, person in INVITED])

    def insert(self, table, rows):
        self.connection.execute(insert(table).values(rows))

    def act_as(self, user_id):
        self.connection.execute(text("SELECT set_config('parley.user_id', :id, true)"), {"id": str(user_id)})

    def changes(self, function, *arguments, **options):
        """Return the rows that a call removes and those that it adds, or NotFound if it raises this and changes nothing."""
        before, found = self._rows(), True
        try:
            function(self.connection, *arguments, **options)
        except NotFound:
            found = False
        after = self._rows()
        return (before - after, after - before) if found or before != after else NotFound

    def names(self, ids):
        """Return the names of those of the ids that are of people or groups here."""
        return sorted(self._names[id] for id in ids if id in self._names)

    def _rows(self):
        return set(self.connection.scalars(_ROWS, {"ids": self._group_ids}))


def rows_of(group):
    """Return the rows of a group as they are at the beginning."""
    pays, budget = (", pays", " with 5 USD") if group in PAYING else ("", "")
    members = {f"{group}: {person} {role}{pays}" for person, role in MEMBERS[group].items()}
    return {f"{group}{budget}", *members, *(f"{name}: {person} invited" for name, person in INVITED if name == group)}
