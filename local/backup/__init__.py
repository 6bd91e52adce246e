"""`parley backup` and `parley restore`: copies of the stack's database, files and keys in a folder.

The folder holds `database.dump` (PostgreSQL's custom format), `files/` (the objects of each bucket), `keys.json` (the parameters
of the Parameter Store, in clear) and `manifest.json`, which has checksums of all of them and of every table.
"""
