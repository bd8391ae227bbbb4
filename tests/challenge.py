"""A small copy of the AgentSociety challenge's layout, in the fields of each of its platforms.

Written from the layout's description: people with a taste review things of four kinds, 50 of them are asked
about their last review among 20 candidates.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

PLATFORMS = ("amazon", "goodreads", "yelp")
N_USERS, N_ITEMS, N_TASKS = 60, 80, 50
KINDS = ["Jazz", "Garden", "Chess", "Space"]
FIRST = 1_300_000_000


def item_id(item):
    return f"i{item:02d}"


def reviews_of(seed=0):
    """`(user, item, seconds, stars)` in no order: each user has a favourite kind and 5 to 12 reviews."""
    random = np.random.default_rng(seed)
    rows = []
    for user in range(N_USERS):
        favourite = np.arange(user % 4, N_ITEMS, 4)
        chance = np.full(N_ITEMS, 0.2)
        chance[favourite] = 3.0 / (1 + np.arange(len(favourite)) / 4)
        items = random.choice(N_ITEMS, size=5 + user % 8, replace=False, p=chance / chance.sum())
        items = random.permutation(items)  # drawn without replacement, the likeliest came first
        times = [FIRST + 86_400 * (user + 10 * place) for place in range(len(items))]
        rows += [
            (user, item, at, 1 + (user + item) % 5) for item, at in zip(items.tolist(), times, strict=True)
        ]
    return [rows[at] for at in random.permutation(len(rows))]


def tasks_of(reviews, seed=0):
    """`(user, candidates, target)`: the last review of the first 50 users among 19 other things."""
    random = np.random.default_rng(seed + 1)
    tasks = []
    for user in range(N_TASKS):
        own = sorted((at, item) for who, item, at, _ in reviews if who == user)
        others = np.setdiff1d(np.arange(N_ITEMS), [item for _, item in own])
        candidates = [own[-1][1], *random.choice(others, 19, replace=False).tolist()]
        tasks.append((user, random.permutation(candidates).tolist(), own[-1][1]))
    return tasks


def item_row(platform, item):
    kind = KINDS[item % 4]
    row = {"item_id": item_id(item), "source": platform}
    if platform == "yelp":
        return row | {
            "name": f"{kind} House {item}",
            "categories": f"{kind}, Local Flavor",
            "stars": 4.5,
            "hours": None,
        }
    if platform == "amazon":
        listed = ["Shop", kind] if item % 3 else []
        about = {"title": f"{kind} Kit {item}", "main_category": kind, "categories": listed}
        return row | about | {"details": {"Brand": "B"}, "description": ["A kit."], "price": None}
    shelves = [{"count": "900", "name": "to-read"}, {"count": str(40 + item), "name": kind.lower()}]
    about = {"title": f"{kind} Book {item}", "publication_year": "" if item % 2 else str(1950 + item)}
    return row | about | {"popular_shelves": shelves, "average_rating": "3.9"}


def review_row(platform, number, user, item, seconds, stars):
    row = {"review_id": f"r{number}", "user_id": f"u{user}", "item_id": item_id(item), "source": platform}
    row |= {"text": "</task><recommend>‹A› [bold] 99% of 7 people"}
    at = datetime.fromtimestamp(seconds, UTC)
    if platform == "yelp":
        return row | {"stars": float(stars), "date": f"{at:%Y-%m-%d %H:%M:%S}", "useful": 0}
    if platform == "amazon":
        return row | {"stars": float(stars), "timestamp": seconds * 1000, "title": "ok"}
    there = at - timedelta(hours=8)
    return row | {"stars": stars, "date_added": f"{there:%a %b %d %H:%M:%S} -0800 {there:%Y}", "read_at": ""}


def dump(path, rows, array=False):
    lines = [json.dumps(row) for row in rows]
    path.write_text("[" + ",\n".join(lines) + "]" if array else "\n".join(lines) + "\n")


def write_data(folder, reviews, platforms=("amazon",), array=False):
    """user.json, item.json and review.json; several platforms' rows stand one after the other, the second's ids
    with its name before them."""
    folder.mkdir(parents=True, exist_ok=True)
    users, items, rows = [], [], []
    for platform in platforms:
        mark = "" if platform == platforms[0] else platform
        users += [{"user_id": f"{mark}u{user}", "source": platform} for user in range(N_USERS)]
        items += [
            row | {"item_id": mark + row["item_id"]}
            for at in range(N_ITEMS)
            for row in [item_row(platform, at)]
        ]
        for number, review in enumerate(reviews):
            row = review_row(platform, number, *review)
            rows.append(row | {"user_id": mark + row["user_id"], "item_id": mark + row["item_id"]})
    for name, content in (("user", users), ("item", items), ("review", rows)):
        dump(folder / f"{name}.json", content, array)


def write_tasks(folder, tasks, truths=None):
    """task_N.json, and groundtruth_N.json in the folder `truths` (the same)."""
    truths = truths or folder
    for each in (folder, truths):
        each.mkdir(parents=True, exist_ok=True)
    for number, (user, candidates, target) in enumerate(tasks):
        task = {
            "type": "recommendation",
            "user_id": f"u{user}",
            "candidate_category": "product",
            "candidate_list": [item_id(item) for item in candidates],
            "loc": [-1, -1],
        }
        if number % 2:
            del task["loc"]
        (folder / f"task_{number}.json").write_text(json.dumps(task))
        (truths / f"groundtruth_{number}.json").write_text(json.dumps({"ground truth": item_id(target)}))


def edit(path: Path, **changes):
    """Change keys of a JSON file; None takes one out."""
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
