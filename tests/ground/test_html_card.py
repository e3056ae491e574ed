"""Cards hold what strangers wrote as text, stand in any theme and never raise."""

from interp.ground import html_card

SCRIPT = "<script>alert('x')</script>"


def test_every_part_is_escaped():
    parts = [
        html_card.lines({SCRIPT: SCRIPT}),
        html_card.grid([SCRIPT], [[SCRIPT]]),
        html_card.folded(SCRIPT, ""),
    ]
    made = html_card.card(SCRIPT, *parts)
    assert "<script" not in made and made.count("&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;") == 6
    assert "\x1b" not in html_card.text("\x1b[2J") and len(html_card.text("x" * 10_000)) < 3000


def test_colours_are_those_of_the_page():
    made = html_card.card("Run", html_card.lines({"task": "addition"}), html_card.grid(["a"], [[1]]))
    assert (
        made.count("color:") == made.count("color:inherit") == 2
        and "#" not in made
        and "background:none" in made
    )


def test_a_long_table_says_how_much_is_left_out():
    made = html_card.grid(["row"], [[i] for i in range(75)])
    assert "... and 15 more" in made and ">59<" in made and ">60<" not in made


def test_what_cannot_be_made_is_said():
    def broken():
        raise RuntimeError(f"no {SCRIPT}")

    made = html_card.shown_anyway("Run", broken)
    assert "cannot be shown" in made and "RuntimeError: no &lt;script" in made and "<script" not in made
