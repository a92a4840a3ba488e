"""The surface syntax: text to tree and back.

`parse` reads a program, `format_program` lays its text out anew, `print_program` and `print_expression` write a tree
as text; `equal` compares trees, places aside.  lark is imported on the first `parse`, not with this package.
"""

from nexort.syntax import ast
from nexort.syntax.layout import format_program
from nexort.syntax.parser import MAX_BYTES, parse
from nexort.syntax.printer import print_expression, print_program
from nexort.syntax.walk import child_nodes, equal, walk_nodes

__all__ = [
    "MAX_BYTES",
    "ast",
    "child_nodes",
    "equal",
    "format_program",
    "parse",
    "print_expression",
    "print_program",
    "walk_nodes",
]
