"""The looks of a page: one sheet within it, for a screen of any width and for paper."""

SHEET = """
:root { --ink: #1b1b1b; --soft: #5a5a5a; --line: #d5d5d5; --ground: #fff; --shade: #f6f7f8; --link: #00507f; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 1rem; max-width: 62rem; color: var(--ink); background: var(--ground);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; padding-top: .6rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .2rem; }
p { margin: .5rem 0; }
a { color: var(--link); }
nav { font-size: .9rem; }
nav a { margin-right: .9rem; white-space: nowrap; }
.status { display: inline-block; font-size: .72rem; line-height: 1.3; padding: 0 .4em; white-space: nowrap;
  border: 1px solid var(--line); border-radius: .6em; color: var(--soft); background: var(--shade); }
.verdicts { list-style: none; padding: 0; }
.verdicts li { margin: .5rem 0; padding-left: .7rem; border-left: 3px solid var(--line); }
.soft { color: var(--soft); font-size: .9rem; }
.wide { overflow-x: auto; margin: .8rem 0; border: 1px solid var(--line); }
.wide:focus-visible, summary:focus-visible, a:focus-visible { outline: 3px solid #56B4E9; outline-offset: 2px; }
.wide svg, .wide img { display: block; width: 100%; min-width: 640px; height: auto; }
figure { margin: .8rem 0; }
figcaption { font-size: .88rem; color: var(--soft); }
table { border-collapse: collapse; font-size: .86rem; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem; border-bottom: 1px solid var(--line); }
th { background: var(--shade); }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font: .88em ui-monospace, "DejaVu Sans Mono", monospace; background: var(--shade); padding: .05em .3em;
  overflow-wrap: anywhere; }
details { border: 1px solid var(--line); border-radius: .3rem; margin: .4rem 0; }
summary { cursor: pointer; padding: .45rem .6rem; }
summary .verdict { min-width: 11.5em; white-space: nowrap; }
summary:hover { background: var(--shade); }
details > div { padding: .2rem .8rem .8rem; border-top: 1px solid var(--line); }
.verdict { display: inline-block; padding: 0 .5em; margin-right: .4em; border: 1px solid #777;
  border-radius: .2em; font-weight: 600; font-size: .86rem; }
.supported { background: #003F63; color: #fff; }
.consistent { background: #9CCBE8; color: #000; }
.contradicted { background: #A04F00; color: #fff; }
.undecided { background: #fff; color: #000; }
.not-evaluable { background: #e3e3e3; color: #333; border-style: dashed; }
.not-testable-here { background: #f6f6f6; color: #555; border-style: dotted; }
.primary { font-weight: 600; font-size: .8rem; }
.failed td { background: #fdf0e3; }
dl { display: grid; grid-template-columns: minmax(7rem, 12rem) 1fr; gap: .2rem .8rem; margin: .6rem 0; }
dt { font-weight: 600; }
dd { margin: 0; }
@media (max-width: 600px) {
  body { padding: .7rem; font-size: 15px; }
  dl { grid-template-columns: 1fr; }
  dd { margin: 0 0 .4rem; }
  summary .verdict { min-width: 0; }
}
@media print {
  body { max-width: none; font-size: 10pt; padding: 0; }
  nav { display: none; }
  h2 { break-after: avoid; }
  figure, details, tr { break-inside: avoid; }
  .wide { overflow: visible; border: 0; }
  .wide svg, .wide img { min-width: 0; max-height: 22cm; }
  .verdict { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
