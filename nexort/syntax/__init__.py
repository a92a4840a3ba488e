"""The surface syntax: text to tree and back.

`parse` reads a program, `format_program` lays its text out anew, `print_program` writes a tree as text.
"""

from nexort.syntax import ast
from nexort.syntax.parser import parse
from nexort.syntax.walk import child_nodes, equal, walk_nodes

__all__ = ["ast", "child_nodes", "equal", "parse", "walk_nodes"]
