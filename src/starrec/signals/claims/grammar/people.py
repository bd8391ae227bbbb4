"""Items, what people did with them, and groups of people: "both A and B", "took A but not B", "A's 64 viewers",
"the 50 people with the most similar recent history". A quantity of a group is a `Some`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from starrec.signals.claims.grammar.quantities import ALL, NONE, SOME, THEM, Items, quantity, rule
from starrec.signals.claims.meaning import BOTH, IT, Measure, Number, Quantity, Window

rule("item", "i:ITEM", "i:LABEL", "THING i:ITEM", "THING COMMA i:ITEM COMMA", "OPEN i:ITEM CLOSE")(lambda i: i)
rule("item", "IT")(lambda: IT)


@dataclass(frozen=True, slots=True)
class Listed:
    """Items with how they are joined."""

    items: Items
    joint: str = "all"


rule("items", "a:item")(lambda a: Listed((a,)))
rule("items", "BOTH? COMMA? a:item AND b:item")(lambda a, b: Listed((a, b)))
rule("items", "a:item AND b:item BOTH")(lambda a, b: Listed((a, b)))
rule("items", "BOTHITEMS")(lambda: Listed((BOTH,)))
rule("items", "EITHER? a:item or b:item (or BOTH)?")(lambda a, b: Listed((a, b), "any"))
rule("items", "(EITHER|ANYONE|NONE) of a:item and b:item")(lambda a, b: Listed((a, b), "any"))
rule("items", "NEITHER a:item NOR b:item", "NEITHER of a:item and b:item")(lambda a, b: Listed((a, b), "none"))
rule("listed", "a:item COMMA b:item")(lambda a, b: (a, b))
rule("listed", "a:item COMMA rest:listed")(lambda a, rest: (a, *rest))
rule("list", "a:item AND b:item")(lambda a, b: (a, b))
rule("list", "all:listed COMMA? AND last:item", "all:listed AND last:item")(lambda all, last: (*all, last))


@dataclass(frozen=True, slots=True)
class Did:
    """What people did: took all of `took`, none of `left`; or went on to `followed` from the anchor."""

    took: Items = ()
    left: Items = ()
    any: Items = ()
    followed: int | None = None
    anchor: int | None = None
    reach: Number | None = None
    how: str = ""
    """An adverb of frequency."""


def took(x: Listed, *, negated: bool = False) -> Did | None:
    match x.joint, negated:
        case "all", False:
            return Did(took=x.items)
        case "any", False:
            return Did(any=x.items)
        case ("none", False) | ("any", True):
            return Did(left=x.items)
        case "all", True if len(x.items) == 1 and x.items != (BOTH,):
            return Did(left=x.items)
    return None


def also(a: Did, b: Did) -> Did | None:
    if a.any or b.any or a.followed is not None or b.followed is not None or a.how or b.how:
        return None
    return Did(took=a.took + b.took, left=a.left + b.left)


rule("take", "(HAVE|WOULD|DO)? HAVE? TAKE", "TENDTO TAKE")(lambda: True)
rule("take", "HAVE been TAKE", "TAKE (copies|copy|a_copy) of")(lambda: True)
rule("leave", "(DO|HAVE|WOULD|BE)? NOT HAVE? (TENDTO)? TAKE", "(HAVE|DO)? SKIP", "NOT HAVE? BE TAKE")(
    lambda: True
)
rule("did", "take x:items")(took)
rule("did", "HAVE x:items (in|on) ITS HISTORY", "BE (among)? (PEOPLE|AUDIENCE) of x:items")(took)
rule("did", "BE in AUDIENCE of x:items", "BE PEOPLE of x:items")(took)
rule("did", "left x:item out", "leave_out x:item")(lambda x: Did(left=(x,)))
rule("did", "(tend|tends|tended) not to TAKE b:item")(lambda b: Did(left=(b,), how="AVOID"))
rule("did", "goes b:item NEXT")(lambda b: went(b, (None, None)))
rule("did", "take a:item AND SOON b:item")(lambda a, b: went(b, (None, None), a))
rule("did", "leave x:items")(lambda x: took(x, negated=True))
rule("did", "(HAVE|DO)? AVOID b:item")(lambda b: Did(left=(b,), how="AVOID"))


@rule(
    "did", "take a:item (WITHOUTING|WITHOUT|BUT NOT) TAKE? b:item", "take a:item COMMA? (BUT|AND) leave b:item"
)
def _took_without(a: int, b: int) -> Did:
    return Did(took=(a,), left=(b,))


@rule("did", "leave b:item (BUT|AND) take a:item")
def _left_but_took(a: int, b: int) -> Did:
    return Did(took=(a,), left=(b,))


rule("did", "take a:item AND take b:item")(lambda a, b: Did(took=(a, b)))
rule("did", "leave a:item AND leave b:item")(lambda a, b: Did(left=(a, b)))

# What follows: "within their next three items", "within three items of A", "soon after".
rule("nearby", "(within|ATMOST|in|among|inside|over|during|as|one_of|with|somewhere_in)")(lambda: True)
rule("reach", "nearby* (ITS|USER POSS)? NEXT n:INT (THING|CHOICE)?")(lambda n: (n, None))
rule("reach", "nearby* (ITS|USER POSS)? n:INT NEXT (THING|CHOICE)?")(lambda n: (n, None))
rule("reach", "nearby (THING|CHOICE)? n:INT (THING|CHOICE) (SOON|on|of_it|of_that|of_doing_so)?")(
    lambda n: (n, None)
)
rule("reach", "nearby n:INT (THING|CHOICE) (of|AFTER) TAKE? a:item")(lambda n, a: (n, a))
rule("reach", "nearby n:INT (THING|CHOICE) that follow")(lambda n: (n, None))
rule("reach", "nearby n:INT (THING|CHOICE) that follow a:item")(lambda n, a: (n, a))
rule("reach", "nearby (ITS)? NEXT n:INT (THING|CHOICE)? (of|AFTER) TAKE? a:item")(lambda n, a: (n, a))
rule("reach", "ATMOST n:INT (THING|CHOICE) (SOON|on)", "n:INT (THING|CHOICE)? or_fewer SOON")(
    lambda n: (n, None)
)
rule("reach", "SOON")(lambda: (None, None))
rule("afterwards", "AFTER (ITS|HAVE)? TAKE? a:item", "from a:item", "AFTER HAVE TAKE a:item")(lambda a: a)


def went(b: int, reach: tuple[Number | None, int | None], after: int | None = None) -> Did | None:
    n, anchor = reach
    if anchor is not None and after is not None:
        return None
    return Did(followed=b, anchor=anchor if after is None else after, reach=n)


rule("did", "take b:item COMMA? r:reach")(lambda b, r: went(b, r))
rule("did", "SOON take b:item")(lambda b: went(b, (None, None)))
rule("did", "take b:item COMMA? r:reach a:afterwards", "take b:item a:afterwards COMMA? r:reach")(
    lambda b, r, a: went(b, r, a)
)
rule("did", "take b:item a:afterwards")(lambda b, a: went(b, (None, None), a))
rule("goes", "(HAVE|DO|WOULD)? GOTO TAKE?", "(HAVE|DO|WOULD)? GO SOON? (on|straight|over)? to TAKE?")(
    lambda: True
)
rule("did", "goes b:item")(lambda b: went(b, (None, None)))
rule("did", "goes b:item COMMA? r:reach")(lambda b, r: went(b, r))
rule("did", "goes b:item a:afterwards")(lambda b, a: went(b, (None, None), a))
rule("did", "goes b:item COMMA? r:reach a:afterwards", "goes b:item a:afterwards COMMA? r:reach")(
    lambda b, r, a: went(b, r, a)
)
rule(
    "did", "(HAVE|DO|WOULD)? GO (straight|on|over|directly)? from a:item (straight|on|over|directly)? to b:item"
)(lambda a, b: went(b, (None, None), a))
rule("onto", "(straight|on|over|directly|right)")(lambda: True)
rule("did", "(HAVE|DO|WOULD)? GO SOON? onto* from a:item onto* to b:item COMMA? r:reach")(
    lambda a, b, r: went(b, r, a)
)
rule("did", "take a:item AND? then (take|GOTO)? b:item", "take a:item AND goes b:item")(
    lambda a, b: went(b, (None, None), a)
)
rule(
    "did",
    "take a:item AND? then? (take|goes) b:item COMMA? r:reach",
    "take a:item AND then b:item COMMA? r:reach",
)(lambda a, b, r: went(b, r, a))
rule(
    "did", "(HAVE|DO|WOULD)? follow a:item with b:item", "(HAVE|DO)? followed a:item (with|by|up_with) b:item"
)(lambda a, b: went(b, (None, None), a))
rule("did", "(HAVE|DO)? (follow|followed) a:item (with|by|up_with) b:item COMMA? r:reach")(
    lambda a, b, r: went(b, r, a)
)
rule("did", "(DO|HAVE|WOULD)? NOT d:went_on")(lambda d: replace(d, how="NEVER"))
rule("went_on", "goes b:item")(lambda b: went(b, (None, None)))
rule("went_on", "goes b:item a:afterwards")(lambda b, a: went(b, (None, None), a))
rule("went_on", "goes b:item COMMA? r:reach", "take b:item COMMA? r:reach")(lambda b, r: went(b, r))


@dataclass(frozen=True, slots=True)
class Group:
    """People: all others, those who did something, or the neighbours of a history."""

    took: Items = ()
    left: Items = ()
    window: Window = ""
    size: Quantity | None = None

    @property
    def plain(self) -> bool:
        return not (self.took or self.left or self.window)

    @property
    def measure(self) -> Measure:
        return Measure("people", self.took, self.left, self.window)


def who(did: Did, size: Quantity | None = None, inside: Group | None = None) -> Group | None:
    if did.any or did.followed is not None or did.how:
        return None
    inside = inside or Group()
    return Group(inside.took + did.took, inside.left + did.left, inside.window, size or inside.size)


rule("people", "PEOPLE", "OTHERS", "PEOPLE CARDINAL", "AUDIENCE")(lambda: True)
rule("size", "EXACTLY? n:INT", "ALL n:INT", "(those|these) n:INT")(lambda n: Quantity("count", "exact", n))
rule("rel", "WHO d:did", "having d:did", "d:doing", "WHO HAVE d:did")(lambda d: d)
rule("doing", "(taking|watching|buying|playing|reading|choosing|seeing|viewing|picking|purchasing) x:items")(
    took
)
rule("doing", "with x:items (in|on) (ITS|POSS)* HISTORY", "with x:items")(took)
rule("doing", "behind x:items")(took)

rule("group", "n:size? PEOPLE CARDINAL?", "ALL n:size? PEOPLE CARDINAL?")(lambda n=None: Group(size=n))
rule("group", "n:size? OTHERS")(lambda n=None: Group(size=n) if n else None)
rule("group", "n:size (there are|in_all)")(lambda n: Group(size=n))
rule("group", "EVERYONE CARDINAL?")(lambda: Group())
rule("group", "n:size? people CARDINAL? d:rel", "n:size d:rel", "ALL n:size? people d:rel")(
    lambda d, n=None: who(d, n)
)
rule("group", "AUDIENCE of n:size people? d:rel")(lambda n, d: who(d, n))
rule("group", "a:item POSS n:size? people CARDINAL?", "n:size? a:item people", "ITS n:size? people")(
    lambda a=IT, n=None: Group((a,), size=n)
)
rule("group", "a:item POSS AUDIENCE of n:size people?", "a:item AUDIENCE of n:size people?")(
    lambda a, n: Group((a,), size=n)
)
rule("group", "ALL n:size? people of x:items")(
    lambda x, n=None: Group(x.items, size=n) if x.joint == "all" else None
)
rule("group", "n:size? others CARDINAL?")(lambda n=None: Group(size=n))
rule("group", "n:size? people of x:items", "n:size? people behind x:items", "AUDIENCE (of|for) x:items")(
    lambda x, n=None: Group(x.items, size=n) if x.joint == "all" else None
)
rule("group", "n:size? people of a:item AND of b:item")(lambda a, b, n=None: Group((a, b), size=n))
rule("group", "n:size people? (for|of) a:item")(lambda a, n: Group((a,), size=n))
rule("group", "AUDIENCE of n:size people? (for|of) a:item")(lambda a, n: Group((a,), size=n))
rule("group", "g:inner_group d:rel")(lambda g, d: who(d, None, g))
rule("inner_group", "a:item POSS n:size? people", "n:size? a:item people", "n:size? people of a:item")(
    lambda a, n=None: Group((a,)) if n is None else None
)
rule("group", "g:neighbours")(lambda g: g)
rule("group", "THEM", "THEM n:size PEOPLE?")(lambda n=None: Group((THEM,), size=n))

# Neighbours: "the 50 people with the most similar recent history".
rule("window", "RECENT")(lambda: "recent")
rule("window", "WHOLE")(lambda: "whole")
rule(
    "whom", "to USER POSS? HISTORY?", "to THEM", "to ITS OWN?", "to ITS window? HISTORY", "to IT POSS?", "USER"
)(lambda: True)
rule("whom", "IT", "to (this|that|here|ours|yours|one) (one|HISTORY)?", "to USER POSS window? HISTORY")(
    lambda: True
)
rule(
    "record", "ITS? w:window HISTORY", "USER POSS w:window HISTORY", "w:window HISTORY (of USER)?", "w:window"
)(lambda w: w)
rule(
    "record",
    "ITS? w:window (THING|CHOICE)",
    "ITS? HISTORY as? (a)? w:window",
    "w:window one",
    "ITS w:window ones",
)(lambda w: w)
rule("record", "ITS? HISTORY", "HISTORY of USER")(lambda: "either")
rule("near_by", "SIMILARLY w:record", "COMMA SIMILARLY w:record COMMA?", "OPEN SIMILARLY? w:record CLOSE")(
    lambda w: w
)
rule("near_by", "w:window", "COMMA w:window")(lambda w: w)


def neighbours(n: Quantity | None = None, w: Window = "either") -> Group:
    return Group(window=w, size=n)


rule(
    "neighbours",
    "n:size? people (with|having|of|sharing|WHO HAVE|WHO share) NEAREST w:record whom?",
    "n:size? people (with|having|of|WHO HAVE) w:record NEAREST whom?",
    "n:size? people (with|having|of|WHO HAVE) w:record (that|which)? BE NEAREST whom?",
    "n:size? people WHOSE w:record BE? NEAREST whom?",
    "n:size? people WHOSE w:record MATCHES (USER POSS? HISTORY?|ITS OWN?|this_one)",
    "n:size? people (WHO BE)? NEAREST whom? w:near_by?",
    "n:size? people (WHO BE)? NEAREST w:near_by whom?",
    "n:size? NEAREST people whom? w:near_by?",
    "n:size? NEAREST people w:near_by whom",
    "NEAREST n:size people whom? w:near_by?",
    "NEAREST n:size people w:near_by whom",
    "n:size? people (WHO)? MATCHES (USER|ITS) POSS? w:record",
    "n:size? NEIGHBOUR (of USER)? w:near_by?",
    "n:size? NEIGHBOUR w:near_by of USER",
    "NEAREST n:size NEIGHBOUR (of USER)? w:near_by?",
    "USER POSS n:size? NEIGHBOUR w:near_by?",
    "USER POSS n:size? NEAREST people w:near_by?",
    "USER POSS n:size? NEAREST NEIGHBOUR w:near_by?",
    "USER POSS NEAREST n:size (people|NEIGHBOUR) w:near_by?",
    "ITS n:size? NEAREST? NEIGHBOUR w:near_by?",
    "n:size? w:window HISTORY? NEAREST? NEIGHBOUR (of USER)?",
    "USER POSS n:size? w:window HISTORY? NEAREST? NEIGHBOUR",
    "n:size? NEAREST w:window HISTORY? NEIGHBOUR",
    "n:size? NEIGHBOUR (of|from|on|in|for|over|with) w:record",
    "n:size? people NEAREST (by|in|on) w:record",
)(neighbours)


@dataclass(frozen=True, slots=True)
class Some:
    """So many of a group."""

    quantities: tuple[Quantity, ...]
    group: Group | None
    """None: it is not said of whom."""
    chosen: bool = False
    """Whether the group is one that the quantity is a part of ("13 of A's viewers")."""


rule("qtys", "q:qty")(lambda q: (q,))
rule("qtys", "q:qty OPEN (or|ie|that BE|about)? p:qty CLOSE", "q:qty COMMA or p:qty COMMA")(lambda q, p: (q, p))
rule("out", "of", "out_of", "among", "from", "from_among")(lambda: True)


@rule("some", "q:qtys out g:group", "q:qtys PEOPLE out g:group", "q:qtys PEOPLE COMMA out_of g:group")
def _some_of(q: tuple[Quantity, ...], g: Group) -> Some:
    return Some(q, g, True)


@rule("some", "q:qtys OFTHEM", "q:qtys PEOPLE OFTHEM")
def _some_of_them(q: tuple[Quantity, ...]) -> Some:
    return Some(q, Group((THEM,)), True)


@rule("some", "q:qtys g:group")
def _some(q: tuple[Quantity, ...], g: Group) -> Some | None:
    return Some(q, g, True) if g.size is None or q == (ALL,) else None


@rule("some", "q:qtys out n:size PEOPLE?", "q:qtys PEOPLE out n:size")
def _some_of_so_many(q: tuple[Quantity, ...], n: Quantity) -> Some:
    return Some(q, Group(size=n), True)


rule("some", "NOBODY CARDINAL?")(lambda: Some((NONE,), Group()))
rule("some", "NOBODY d:rel", "NOBODY of? g:group", "NOBODY (in|among) g:group")(
    lambda d=None, g=None: None if (found := g or who(d)) is None else Some((NONE,), found, True)
)
rule("some", "FEWPEOPLE d:rel", "FEWPEOPLE (in|among|of) g:group")(
    lambda d=None, g=None: (
        None if (found := g or who(d)) is None else Some((quantity("share", "under", 10),), found, True)
    )
)
rule("some", "FEWPEOPLE")(lambda: Some((quantity("share", "under", 10),), Group(), True))
rule("some", "EVERYONE d:rel", "EVERYONE (in|among|of) g:group")(
    lambda d=None, g=None: None if (found := g or who(d)) is None else Some((ALL,), found, True)
)
rule("some", "NEARLY EVERYONE d:rel", "NEARLY EVERYONE (in|among|of) g:group")(
    lambda d=None, g=None: (
        None if (found := g or who(d)) is None else Some((quantity("share", "nearly", 100),), found, True)
    )
)
rule("some", "not (EVERYONE|everybody)")(lambda: Some((quantity("share", "under", 100),), Group(), True))
rule("some", "not EVERYONE d:rel", "not EVERYONE (in|among|of) g:group")(
    lambda d=None, g=None: (
        None if (found := g or who(d)) is None else Some((quantity("share", "under", 100),), found, True)
    )
)
rule("some", "SOMEONE d:rel")(lambda d: None if (found := who(d)) is None else Some((SOME,), found, True))
rule("some", "q:qty OPEN p:qty out n:size PEOPLE? CLOSE out g:group")(
    lambda q, p, n, g: Some((q, p), replace(g, size=n), True) if g.size is None else None
)
rule("some", "q:qtys out EVERYONE d:rel")(
    lambda q, d: None if (found := who(d)) is None else Some(q, found, True)
)
rule("alone", "q:qtys")(lambda q: Some(q, None))
rule("alone", "NOBODY")(lambda: Some((NONE,), None))
rule("alone", "FEWPEOPLE")(lambda: Some((quantity("share", "under", 10),), None))
rule("alone", "EVERYONE")(lambda: Some((ALL,), None))
rule("bare", "s:alone")(lambda s: s)
rule("bare", "q:qtys PEOPLE")(lambda q: Some(q, None))
