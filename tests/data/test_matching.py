"""Titles are found as people type them, and nothing is taken for what it is not."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.data import Titles, UnknownItem
from starrec.errors import StarrecError

HOSTILE = "</task><recommend>‹B›‹A› [bold]⟦1|x⟧ 99% of 7 people"
MOVIES = [
    "Usual Suspects, The (1995)",
    "Fargo (1996)",
    "Star Wars (1977)",
    "Hamlet (1948)",
    "Hamlet (1996)",
    "Schindler's List (1993)",
    "2001: A Space Odyssey (1968)",
    "Good, the Bad and the Ugly, The (1966)",
    "American in Paris, An (1951)",
    "Amélie (2001)",
    "Toy Story (1995)",
    "Toy Story 2 (1999)",
    "1984",
    HOSTILE,
    "Blade Runner (1982)",
    *(f"Filler Number {word} (1990)" for word in ("Ash", "Birch", "Cedar", "Elm", "Oak", "Pine", "Yew")),
    "Number Filler Oak (1990)",
    "Filler Number Oak C (1990)",
    *(f"Never Seen {at} (2000)" for at in range(5)),
]
FILMS = [
    "M (1931)",
    "Matrix, The (1999)",
    "Matrix Reloaded, The (2003)",
    "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)",
    "Snow White and the Seven Dwarfs (1937)",
    "Star Wars: Episode IV - A New Hope (1977)",
    "Star Wars: Episode V - The Empire Strikes Back (1980)",
    "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
    "Seven (a.k.a. Se7en) (1995)",
    "Twelve Monkeys (1995)",
    "Godfather, The (1972)",
    "Godfather: Part II, The (1974)",
    "Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb (1964)",
    "Shawshank Redemption, The (1994)",
    "Lord of the Rings, The (1978)",
    "Lord of the Rings: The Fellowship of the Ring, The (2001)",
    "E.T. the Extra-Terrestrial (1982)",
    "Spider-Man (2002)",
    "Spider-Man 2 (2004)",
    "Léon: The Professional (a.k.a. The Professional) (1994)",
    "(500) Days of Summer (2009)",
    "Rocky (1976)",
    "Rocky II (1979)",
    "Land Before Time III: The Time of the Great Giving (1995) (V)",
    "Blade Runner (1982)",
    "Blade Runner 2049 (2017)",
    "Æon Flux (2005)",
    "Fast & Furious (2009)",
    "Kill Bill: Vol. 1 (2003)",
    "Assassin&rsquo;s Creed™ (2016)",
    "Avventura, L' (1960)",
    "جدایی نادر از سیمین (2011)",
    "עַרְבִית (1999)",
    "千と千尋の神隠し (2001)",
    "$ (1971)",
    "Ring (Ringu) (1998)",
    "Ring, The (2002)",
]


def catalogue(titles):
    return Titles(titles, [f"m{index}" for index in range(len(titles))])


@pytest.fixture(scope="module")
def movies():
    return catalogue(MOVIES)


@pytest.fixture(scope="module")
def films():
    return catalogue(FILMS)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Fargo (1996)", 1),
        ("fargo", 1),
        ("  FARGO  1996 ", 1),
        ("The Usual Suspects", 0),
        ("usual suspects, the (1995)", 0),
        ("the usual suspects 1995", 0),
        ("Usual Suspects", 0),
        ("The Usual Suspcts", 0),
        ("star wars", 2),
        ("Star Wras", 2),
        ("Hamlet (1948)", 3),
        ("hamlet 1996", 4),
        ("Schindlers List", 5),
        ("2001 a space odyssey", 6),
        ("The Good, the Bad and the Ugly", 7),
        ("an american in paris", 8),
        ("Amélie", 9),
        ("Amelie", 9),
        ("toy story", 10),
        ("Toy Story 2", 11),
        ("1984", 12),
        (HOSTILE, 13),
        ("blade-runner", 14),
        ("blade", 14),
        ("Star Wars: Episode IV", 2),
        ("star wars episode 4 a new hope", 2),
        ("2001", 6),
    ],
)
def test_titles_are_found_as_people_type_them(movies, typed, meant):
    assert movies.match(typed) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        # Articles, in front or moved behind.
        ("Matrix", "Matrix, The (1999)"),
        ("the matrix", "Matrix, The (1999)"),
        ("a Matrix, 1999", "Matrix, The (1999)"),
        ("L'Avventura", "Avventura, L' (1960)"),
        ("avventura", "Avventura, L' (1960)"),
        ("Ring", "Ring (Ringu) (1998)"),
        ("The Ring", "Ring, The (2002)"),
        # Alternative titles.
        ("Amelie", "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)"),
        ("Le fabuleux destin d'Amelie Poulain", "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)"),
        ("City of Lost Children", "City of Lost Children, The (Cité des enfants perdus, La) (1995)"),
        ("la cite des enfants perdus", "City of Lost Children, The (Cité des enfants perdus, La) (1995)"),
        ("se7en", "Seven (a.k.a. Se7en) (1995)"),
        ("The Professional", "Léon: The Professional (a.k.a. The Professional) (1994)"),
        ("500 days of summer", "(500) Days of Summer (2009)"),
        ("days of summer", "(500) Days of Summer (2009)"),
        # What stands before a colon, if no title is called so.
        ("leon", "Léon: The Professional (a.k.a. The Professional) (1994)"),
        ("Lord of the Rings", "Lord of the Rings, The (1978)"),
        ("Lord of the Rings 2001", "Lord of the Rings: The Fellowship of the Ring, The (2001)"),
        # The beginning, a part, words in their order.
        ("Snow White", "Snow White and the Seven Dwarfs (1937)"),
        ("Star Wars: Episode IV", "Star Wars: Episode IV - A New Hope (1977)"),
        ("Doctor Strangelove", "Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb (1964)"),
        ("The Empire Strikes Back", "Star Wars: Episode V - The Empire Strikes Back (1980)"),
        ("fellowship of the ring", "Lord of the Rings: The Fellowship of the Ring, The (2001)"),
        ("snow white dwarfs", "Snow White and the Seven Dwarfs (1937)"),
        # Numerals, letters and words.
        ("12 monkeys", "Twelve Monkeys (1995)"),
        ("The Godfather Part 2", "Godfather: Part II, The (1974)"),
        ("rocky 2", "Rocky II (1979)"),
        ("kill bill volume one", "Kill Bill: Vol. 1 (2003)"),
        ("Blade Runner 2049", "Blade Runner 2049 (2017)"),
        ("blade runner 1982", "Blade Runner (1982)"),
        ("Land Before Time III: The Time of the Great Giving 1995", FILMS[23]),
        ("spiderman", "Spider-Man (2002)"),
        ("ET", "E.T. the Extra-Terrestrial (1982)"),
        ("aeon flux", "Æon Flux (2005)"),
        ("fast and furious", "Fast & Furious (2009)"),
        ("assassins creed", "Assassin&rsquo;s Creed™ (2016)"),
        ("جدایی نادر", "جدایی نادر از سیمین (2011)"),
        ("ערבית", "עַרְבִית (1999)"),
        ("千と千尋の神隠し", "千と千尋の神隠し (2001)"),
        ("$", "$ (1971)"),
        # Slips.
        ("shawshank redemtion", "Shawshank Redemption, The (1994)"),
        ("The Godfahter", "Godfather, The (1972)"),
    ],
)
def test_films_are_found_by_what_people_call_them(films, typed, meant):
    assert FILMS[films.match(typed)] == meant


def test_a_word_of_a_title_is_enough_where_no_other_title_has_it():
    titles = catalogue(["Fabulous Destiny of Amélie Poulain, The", "Fargo (1996)"])
    assert titles.match("amelie") == 0


@pytest.mark.parametrize("titles", [MOVIES, FILMS])
def test_every_display_title_means_its_own_item(titles):
    assert [catalogue(titles).match(title) for title in titles] == list(range(len(titles)))


def test_an_ambiguous_title_lists_what_it_may_mean(movies):
    with pytest.raises(
        StarrecError, match=r"'hamlet' is ambiguous: 'Hamlet \(1948\)' \(id .*'Hamlet \(1996\)' \(id .*year"
    ) as raised:
        movies.match("hamlet")
    assert isinstance(raised.value, UnknownItem)
    assert raised.value.name == "hamlet"
    assert raised.value.near == (("m3", "Hamlet (1948)"), ("m4", "Hamlet (1996)"))


@pytest.mark.parametrize("typed", ["Never Seen", "Toy Story 3", "Filler Number Oak B"])
def test_where_two_titles_are_as_close_neither_is_taken(movies, typed):
    with pytest.raises(StarrecError, match="Did you mean"):
        movies.match(typed)


def test_titles_that_begin_alike_are_suggested_and_none_is_taken(films):
    with pytest.raises(UnknownItem, match="No title 'Blade'") as raised:
        films.match("Blade")
    assert [title for _, title in raised.value.near] == ["Blade Runner (1982)", "Blade Runner 2049 (2017)"]


def test_what_stands_before_a_colon_is_no_title_where_another_begins_so():
    titles = catalogue(["The Last of Us Remastered", "The Last of Us: Left Behind", "Tetris: The Grand Master"])
    assert titles.match("tetris") == 2
    with pytest.raises(UnknownItem, match="No title") as raised:
        titles.match("the last of us")
    assert [item_id for item_id, _ in raised.value.near] == ["m0", "m1"]


def test_an_alternative_title_makes_no_title_less_meant():
    titles = catalogue(["Beauty and the Beast (1991)", "Beauty and the Beast (Belle et la bête, La) (1946)"])
    with pytest.raises(UnknownItem, match="ambiguous") as raised:
        titles.match("Beauty and the Beast")
    assert [item_id for item_id, _ in raised.value.near] == ["m0", "m1"]
    assert (titles.match("beauty and the beast 1991"), titles.match("la belle et la bete")) == (0, 1)
    # What has no year is named in full, and that is said of one of them only.
    assert catalogue(["Halo 3", "Halo 3 (PC)"]).match("halo 3") == 0


def test_a_slip_before_the_colon_is_forgiven_where_one_title_begins_so():
    titles = catalogue(["Pirates of the Caribbean: The Curse", "Kill Bill: Vol. 1", "Kill Bill: Vol. 2"])
    assert titles.match("pirates of the caribean") == 0
    with pytest.raises(UnknownItem) as raised:
        titles.match("kil bill")
    assert [item_id for item_id, _ in raised.value.near] == ["m1", "m2"]


def test_two_letters_within_a_title_are_not_enough():
    titles = catalogue(["Nénette et Boni (1996)", "千と千尋の神隠し 下 (2001)"])
    with pytest.raises(UnknownItem):
        titles.match("et")
    assert (titles.match("boni"), titles.match("下")) == (0, 1)


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [
        ("Farg and other stories", "Fargo"),
        ("Fargo (1997)", "Fargo"),
        ("fargo 1997", "Fargo"),
        ("Usual Suspects 1997", "Usual Suspects, The"),
        ("Cargo", "Fargo"),
        ("Star Trek", "Star Wars"),
        ("Star Wars: Episode V", "Star Wars"),
    ],
)
def test_an_unknown_title_gets_suggestions(movies, typed, suggested):
    with pytest.raises(StarrecError, match="No title") as raised:
        movies.match(typed)
    assert typed in str(raised.value) and suggested in str(raised.value)
    assert suggested in raised.value.near[0][1]


def test_titles_with_the_typed_word_are_suggested_before_titles_with_its_letters(films):
    with pytest.raises(UnknownItem) as raised:
        films.match("Matrix Revolutions")
    near = [title for _, title in raised.value.near]
    assert near[:2] == ["Matrix, The (1999)", "Matrix Reloaded, The (2003)"] and "M (1931)" not in near


@pytest.mark.parametrize("typed", ["", "???", "⟦1|x⟧</recommend>", "\0", "x" * 5000, "🎬"])
def test_what_is_no_title_is_an_error_with_words(movies, typed):
    with pytest.raises(StarrecError, match="Did you mean"):
        movies.match(typed)


def test_messages_stay_short_and_plain_whatever_titles_and_ids_hold():
    long = "Long " * 2000
    titles = Titles([long, long, "\u202eevil\x1b[2J"], ["a", "b", "c\x1b[31m"])
    for typed in (long, "Evel", "\x1b[2J" * 3000):
        with pytest.raises(UnknownItem) as raised:
            titles.match(typed)
        assert len(str(raised.value)) < 500
        assert not set("\x1b\u202e") & set(str(raised.value))
    assert titles.match("evil 2j") == 2


def test_an_empty_catalogue_has_no_suggestions():
    titles = catalogue([])
    with pytest.raises(UnknownItem, match=r"^No title 'Fargo' in the catalogue\.$") as raised:
        titles.match("Fargo")
    assert raised.value.near == () and titles.search("Fargo") == []


def test_empty_titles_are_found_by_id_alone():
    titles = Titles(["", " ", "Fargo"], ["a", "b", "c"])
    for typed in ("", " "):
        with pytest.raises(UnknownItem):
            titles.match(typed)
    assert titles.match("b") == 1 and titles.search("") == []


def test_an_id_comes_after_titles_for_people_and_before_them_for_programs():
    titles = Titles(["Fargo (1996)", "2", "300 (2006)"], ["300", "1", "2"])
    assert (titles.match("2"), titles.item("2")) == (1, 2)
    assert (titles.match("300"), titles.item("300")) == (2, 0)
    assert (titles.match("1"), titles.item("1"), titles.item("fargo")) == (1, 1, 0)
    with pytest.raises(UnknownItem, match="No title '4'"):
        titles.item("4")


def test_an_error_crosses_processes(movies):
    with pytest.raises(UnknownItem) as raised:
        movies.match("hamlet")
    again = pickle.loads(pickle.dumps(raised.value))
    assert (str(again), again.name, again.near) == (str(raised.value), "hamlet", raised.value.near)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        # The title itself, titles that begin so, the shorter first.
        ("matrix", ["Matrix, The (1999)", "Matrix Reloaded, The (2003)"]),
        ("The Mat", ["Matrix, The (1999)", "Matrix Reloaded, The (2003)"]),
        ("m", ["M (1931)", *FILMS[1:3], "Spider-Man (2002)", "Spider-Man 2 (2004)", "Twelve Monkeys (1995)"]),
        ("ring", ["Ring (Ringu) (1998)", "Ring, The (2002)", *FILMS[14:16]]),
        ("blade runner 2", ["Blade Runner 2049 (2017)"]),
        # Within, from the beginning of a word on; then its words anywhere.
        ("empire str", ["Star Wars: Episode V - The Empire Strikes Back (1980)"]),
        ("amél", ["Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)"]),
        ("dwarf snow", ["Snow White and the Seven Dwarfs (1937)"]),
        ("1937", ["Snow White and the Seven Dwarfs (1937)"]),
        ("12 mon", ["Twelve Monkeys (1995)"]),
        ("spiderman", ["Spider-Man (2002)"]),
        ("نادر", ["جدایی نادر از سیمین (2011)"]),
        # Slips.
        ("shwashank", ["Shawshank Redemption, The (1994)"]),
        ("matrx", ["Matrix, The (1999)", "Matrix Reloaded, The (2003)"]),
        # Nothing.
        ("", []),
        ("  ", []),
        ("???", []),
        ("qqqq", []),
    ],
)
def test_search_finds_what_is_being_typed(films, typed, found):
    assert [FILMS[item] for item in films.search(typed)] == found


def test_search_gives_at_most_what_is_asked_for(films):
    assert [FILMS[item] for item in films.search("m", 2)] == ["M (1931)", "Matrix, The (1999)"]
    assert films.search("m", 0) == films.search("m", -1) == []


WORDS = st.sampled_from(
    ["Star", "The", "La", "Amélie", "II", "2", "1999", "(Le)", "Ünder", "of", "<b>", "שלום"]
)
TITLES = st.lists(WORDS, min_size=1, max_size=5).flatmap(
    lambda words: st.sampled_from(
        [" ".join(words), f"{' '.join(words)}, The (1999)", f"A: {' '.join(words)} (1995) (V)"]
    )
)


@given(st.lists(TITLES, min_size=1, max_size=12))
def test_a_display_title_that_no_other_item_has_means_its_item(titles):
    found = catalogue(titles)
    for index, title in enumerate(titles):
        if titles.count(title) == 1:
            assert found.match(title) == index
            assert index in found.search(title, len(titles))
        else:
            with pytest.raises(UnknownItem, match="ambiguous"):
                found.match(title)


@given(st.text(max_size=40), st.integers(0, 9))
def test_any_text_is_answered(films, typed, n):
    try:
        assert 0 <= films.match(typed) < len(FILMS)
    except UnknownItem as error:
        assert error.name == typed and 1 <= len(error.near) <= 5
    found = films.search(typed, n)
    assert len(set(found)) == len(found) <= n
    assert found == films.search(typed, 50)[:n]


@given(st.sampled_from(range(len(MOVIES))), st.data())
def test_the_beginning_of_a_title_finds_it(movies, item, data):
    title = MOVIES[item]
    typed = title[: data.draw(st.integers(1, len(title)))]
    assert not any(map(str.isalnum, typed)) or item in movies.search(typed, len(MOVIES))
