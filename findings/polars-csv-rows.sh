#!/usr/bin/env bash
# What one would guess: polars.read_csv refuses rows that do not have as many fields as the header, and a quote that
# opens somewhere and closes nowhere sensible is an error.
#
# What it does (polars 2.1.0): rows with too few fields are filled with null, without a word. Rows with too many are
# refused, unless `columns=` chooses some columns: then the rest of such a row is dropped, without a word. Two lone
# quotes, the first at the start of a field and the second at the end of one rows later, make one field of everything
# between: whole interactions are gone and the height is the only trace.
#
# Why it matters: logs of interactions have free text (a review's summary, 6" nails) and cut lines. Reading one with
# the columns one needs, as one does for 25 million rows, loses or invents interactions silently. starrec counts
# separators and checks quotes itself before it hands a block to polars (src/starrec/data/quotes.py).
#
# Source: https://docs.pola.rs/api/python/stable/reference/api/polars.read_csv.html (`truncate_ragged_lines` speaks of
# long rows only; `columns` says nothing of them).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0

"$folder/venv/bin/python" - <<'PYTHON'
import io

import polars as pl

print("polars", pl.__version__)


def read(text, **options):
    return pl.read_csv(io.BytesIO(text.encode()), infer_schema=False, **options)


short = read("user,item,time\nu1,i1\nu2,i2,5\n")
print("a row with too few fields:", short.rows())
assert short.rows() == [("u1", "i1", None), ("u2", "i2", "5")]

long = "user,item,time\nu1,i1,4,oops\nu2,i2,5\n"
try:
    read(long)
    raise SystemExit("a row with too many fields is not refused any more")
except pl.exceptions.ComputeError as error:
    print("a row with too many fields:", str(error).splitlines()[0])
chosen = read(long, columns=["user", "item"])
print("the same, two columns chosen:", chosen.rows())
assert chosen.rows() == [("u1", "i1"), ("u2", "i2")]

rows = ['u1,i1,"great', "u2,i2,fine", "u3,i3,fine", 'u4,i4,great"', "u5,i5,fine"]
quoted = read("user,item,note\n" + "\n".join(rows) + "\n")
print(f"{len(rows)} rows with two lone quotes: {quoted.height} rows,", quoted.rows())
assert quoted.height == 2
PYTHON
