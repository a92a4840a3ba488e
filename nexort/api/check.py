"""What `check` says of a program before anything is computed: its interface, its graph and its cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

from nexort.api.options import CheckOptions, LimitOptions
from nexort.engine import format_bytes
from nexort.errors import NexortError
from nexort.graph import Apply, Data, Graph, MatMul, Node
from nexort.syntax import ast

if TYPE_CHECKING:
    from nexort.api.mixed import Split
    from nexort.exact import Blocks
    from nexort.limit import SpaceBound


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """An output, parameter or data array: what it is and where it comes from."""

    name: str
    shape: tuple[int, ...] | None
    source: str

    def line(self) -> str:
        shape = f"[{', '.join(map(str, self.shape))}]" if self.shape else ""
        return f"  {self.name}{shape}: {self.source}"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one repetition of a computation needs.

    For the limit also upper bounds of its columns: `sides`, those that a product with W or with W' adds over the
    whole program, and `spaces`, all those of the vectors that share a width axis.  `heaviest` tells the statement that
    takes the largest `share` of the time.
    """

    mode: str
    size: int
    bytes: int
    flops: float
    seconds: float
    sides: tuple[tuple[str, int], ...] = ()
    spaces: tuple[tuple[str, int], ...] = ()
    heaviest: str = ""
    share: float = 0.0
    draw_seconds: float = 0.0
    """The part of a replicate's time that each draw of a random limit takes again."""

    def lines(self) -> Iterator[str]:
        each, size = ("trial", "width") if self.mode == "run" else ("replicate", "samples")
        cost = f"{format_bytes(self.bytes)}, {self.flops / 1e9:.3g} GFlop, about {self.seconds:.2g} s"
        draws = f", {self.draw_seconds:.2g} s of it again for each draw" if self.draw_seconds else ""
        yield f"  {self.mode} --{size} {self.size}: {cost} for each {each}{draws}"
        if self.heaviest and self.share >= LARGE_SHARE:
            yield f"    {self.share:.0%} of the time: {self.heaviest}"
        for title, bounds in (("matrix", self.sides), ("width space", self.spaces)):
            if bounds:
                yield f"    columns at most, by {title}: {', '.join(f'{name} {n}' for name, n in bounds)}"


@dataclass(frozen=True, kw_only=True)
class LimitMethod:
    """How `limit` will compute an output: exact, particles or mixed, with what keeps it from being exact."""

    output: str
    method: str
    place: str = ""
    reason: str = ""

    def line(self) -> str:
        where = f"; {self.place}: {self.reason}" if self.place else ""
        return f"  {self.output}: {self.method}{where}"


@dataclass(frozen=True, kw_only=True)
class ExactCost:
    """What `--method exact` takes: memory at most, and how many evaluations of how many inputs each it makes."""

    bytes: float
    evaluations: int = 1
    inputs: int | None = None

    def line(self) -> str:
        blocks = "" if self.inputs is None else f", in {self.evaluations} blocks of {self.inputs} inputs"
        return f"  limit --method exact: at most {format_bytes(self.bytes)}{blocks}"


LARGE_SHARE = 0.25
"""Of the time: what takes more is named."""
MOST_WORK = 1e9
"""Of the exact method, to see what it can do, some seconds: `limit` may do more of it."""


@final
@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """The report; prints as text, `to_dict` gives what `--json` prints."""

    program: str
    outputs: tuple[Quantity, ...]
    params: tuple[Quantity, ...]
    data: tuple[Quantity, ...]
    nodes: Mapping[str, int]
    products: int
    """Applications of an operator to a vector or multi-vector."""
    tensors: int
    """Values of order 2 or more in the graph, before those that need not be formed are taken apart."""
    costs: tuple[Cost, ...]
    """Of `limit` that of what is sampled."""
    exact: ExactCost | None = None
    """Where all outputs are exact."""
    methods: tuple[LimitMethod, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        from nexort import __version__

        return {"nexort": __version__, "mode": "check", **asdict(self)}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.program}: no errors"
        for title, quantities in (("outputs", self.outputs), ("params", self.params), ("data", self.data)):
            if quantities:
                yield title
                yield from (quantity.line() for quantity in quantities)
        yield "graph"
        kinds = ", ".join(f"{number} {kind}" for kind, number in self.nodes.items())
        yield f"  {sum(self.nodes.values())} nodes: {kinds}"
        yield f"  {self.products} products with an operator, {self.tensors} values of order 2 or more"
        if self.methods:
            yield "limit"
            yield from (method.line() for method in self.methods)
        if self.costs or self.exact:
            yield "cost"
        for cost in self.costs:
            yield from cost.lines()
        if self.exact:
            yield self.exact.line()
        yield from (f"warning: {warning}" for warning in self.warnings)


def build_report(
    tree: ast.Program,
    graph: Graph,
    limit: Graph | NexortError,
    settings: Mapping[str, int | float],
    data: str | None,
    replaced: frozenset[str],
    options: CheckOptions,
) -> CheckReport:
    """`limit` is the graph whose kets are the limit, or why there is none; `replaced` are the names that `data` holds.

    Raises NotBuiltFault, ComputationFault as `run` would.
    """
    if isinstance(limit, NexortError):
        random, limit_cost, warnings = set[str](), (), (f"`nexort limit` will refuse this program: {limit.message}",)
        methods: tuple[LimitMethod, ...] = ()
        exact = None
    else:
        random = {output.name for output in limit.outputs if not limit.random.isdisjoint(output.nodes)}
        from nexort.api.exact import plan_exactly
        from nexort.api.mixed import affordable_blocks

        blocks = affordable_blocks(limit, LimitOptions(samples=options.samples, dtype=options.dtype))
        if blocks is None:
            split = _split(limit, options)
            methods = tuple(_methods(split))
            limit_cost, warnings = _limit_cost(split.rest, options) if split.rest.outputs else ((), limit.notes)
            exact = None if split.rest.outputs else _exact_cost(plan_exactly(limit))
        else:
            methods = tuple(LimitMethod(output=output.name, method="exact") for output in limit.outputs)
            limit_cost, warnings, exact = (), limit.notes, _exact_cost(blocks)
    run_cost = () if options.width is None else (_run_cost(graph, options.width, options),)
    kinds = Counter(type(node).__name__ for node in graph.order)
    return CheckReport(
        program=tree.source.name,
        outputs=tuple(_outputs(graph, random)),
        params=tuple(_params(tree, settings)),
        data=tuple(_data(tree, graph, data, replaced)),
        nodes=dict(kinds.most_common()),
        products=sum(isinstance(node, Apply | MatMul) for node in graph.order),
        tensors=sum(node.type.order >= 2 and not node.type.is_operator for node in graph.order),
        costs=(*run_cost, *limit_cost),
        methods=methods,
        exact=exact,
        warnings=warnings,
    )


def _exact_cost(plan: Blocks) -> ExactCost:
    if plan.order == 1:
        return ExactCost(bytes=plan.bytes)
    return ExactCost(bytes=plan.bytes, evaluations=plan.evaluations, inputs=plan.inputs)


def _outputs(graph: Graph, random: Collection[str]) -> Iterator[Quantity]:
    """`random` are the names of those whose limit is a distribution."""
    for output in graph.outputs:
        kind = output.nodes[0].type if output.nodes else None
        shape = (*output.loops, *(kind.shape if kind else ()))
        noun = kind.noun if kind else "scalar"
        law = ", random in the limit" if output.name in random else ""
        yield Quantity(name=output.name, shape=shape, source=f"{f'family of {noun}s' if shape else noun}{law}")


def _params(tree: ast.Program, settings: Mapping[str, int | float]) -> Iterator[Quantity]:
    bindings = [binding for stmt in tree.body if isinstance(stmt, ast.Param) for binding in stmt.bindings]
    for binding in bindings:
        name = binding.name.id
        written = binding.value.span.text if binding.value is not None else "no value"
        value = f"{settings[name]:g} (--set; the program has {written})" if name in settings else written
        yield Quantity(name=name, shape=None, source=value)
    for name in settings.keys() - {binding.name.id for binding in bindings}:
        yield Quantity(name=name, shape=None, source=f"{settings[name]:g} (--set)")


def _data(tree: ast.Program, graph: Graph, data: str | None, replaced: frozenset[str]) -> Iterator[Quantity]:
    shapes = {node.name: node.type.shape for node in graph.order if isinstance(node, Data)}
    for item in (item for stmt in tree.body if isinstance(stmt, ast.Data) for item in stmt.items):
        name = item.name.id
        if name in replaced:
            source = f"from {data}"
        else:
            source = item.standin.span.text if item.standin is not None else "no array"
        unused = "" if name in shapes else " (no output needs it)"
        yield Quantity(name=name, shape=shapes.get(name), source=f"{source}{unused}")


def _run_cost(graph: Graph, width: int, options: CheckOptions) -> Cost:
    from nexort.finite import FiniteRun

    estimate = FiniteRun(graph, width=width, dtype=options.dtype, init="gaussian", seed=0).estimate
    return Cost(
        mode="run",
        size=width,
        bytes=estimate.bytes,
        flops=estimate.flops,
        seconds=estimate.seconds,
        heaviest=_statement(estimate.heaviest),
        share=estimate.share,
    )


def _statement(node: Node | None) -> str:
    """`file:line:column, t = 3`: where a value is made."""
    if node is None or node.span is None:
        return ""
    return node.span.place + "".join(f", {name} = {value}" for name, value in node.passes)


def _split(graph: Graph, options: CheckOptions) -> Split:
    from nexort.api.mixed import split_limit

    return split_limit(graph, LimitOptions(samples=options.samples, dtype=options.dtype), most=MOST_WORK)


def _methods(split: Split) -> Iterator[LimitMethod]:
    for name in split.names:
        refusal = split.refusals.get(name)
        yield LimitMethod(
            output=name,
            method=split.method(name),
            place=refusal.span.place if refusal is not None and refusal.span is not None else "",
            reason=refusal.message if refusal is not None else "",
        )


def _limit_cost(graph: Graph, options: CheckOptions) -> tuple[tuple[Cost, ...], tuple[str, ...]]:
    from nexort.limit import LimitRun

    run = LimitRun(graph, samples=options.samples, seed=0, dtype=options.dtype)
    estimate = run.estimate
    cost = Cost(
        mode="limit",
        size=options.samples,
        bytes=estimate.bytes,
        flops=estimate.flops,
        seconds=estimate.seconds,
        sides=tuple((side.name, side.columns) for side in estimate.sides),
        spaces=tuple((space.name or "unnamed", space.columns) for space in estimate.spaces),
        heaviest=_statement(estimate.heaviest),
        share=estimate.share,
        draw_seconds=estimate.draw_seconds,
    )
    return (cost,), (*graph.notes, *_overflows(estimate.spaces, options.samples))


def _overflows(spaces: Iterable[SpaceBound], samples: int) -> Iterator[str]:
    for space in spaces:
        if space.overflow is not None:
            where = f" at {space.overflow.span.place}" if space.overflow.span is not None else ""
            passes = "".join(f", {name} = {value}" for name, value in space.overflow.passes)
            yield (
                f"up to {space.columns} columns may not fit in {samples} samples{where}{passes}: "
                "from there on new ones are drawn plainly; raise --samples"
            )
