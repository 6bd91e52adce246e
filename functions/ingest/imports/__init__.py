"""Imports of conversations: reads exports of other programs and of Parley, and stores what they hold.

`run` is the story of an import; `archive` and `json_items` read a file within bounds, and a module for each source reads its format.
"""
