"""What tests of files share: a catalogue of 20 items, and reading files written on the spot."""

import gzip

from starrec.data import TableOptions, load_tables
from starrec.data.files import DEFAULT_LIMITS

ITEMS = "item_id,title\n" + "".join(f"i{n},Title {n}\n" for n in range(20))
HEADER = "user_id,item_id,timestamp\n"


def write(folder, name, content):
    path = folder / name
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def load(
    folder,
    edges=HEADER + "a,i1,100\n",
    items=ITEMS,
    *,
    log="log.csv",
    goods="items.csv",
    held_out=None,
    limits=DEFAULT_LIMITS,
    **options,
):
    """A dataset and the report of its files."""
    return load_tables(
        write(folder, log, edges),
        write(folder, goods, items),
        options=TableOptions(**options),
        held_out=held_out,
        limits=limits,
    )


def times_of(dataset):
    """Ticks by user and item id."""
    rows = dataset.interactions.select("user", "item", "time").iter_rows()
    return {(dataset.user_ids[user], dataset.item_ids[item]): time for user, item, time in rows}
