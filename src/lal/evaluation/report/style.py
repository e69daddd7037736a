"""How reports/gold.html looks and moves: one style sheet for light, dark, wide and narrow, one optional script."""

STYLE = """
:root { color-scheme: light dark;
  --paper: #fbf9f4; --card: #fffdf8; --ink: #211e19; --soft: #6a6358; --line: #e3ddd0;
  --mark: #0f5e5a; --mark-soft: #d5e8e4; --bad: #9c2b1b; --bad-soft: #f8ddd5; --good: #1d6332; --good-soft: #d9ecd9; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #16171a; --card: #1d1f23; --ink: #ebe6db; --soft: #a29b8d; --line: #34363c;
  --mark: #6fcabd; --mark-soft: #1d3f3c; --bad: #f2927f; --bad-soft: #4a211a; --good: #8fd3a0; --good-soft: #1d3d27;
    } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: clamp(1.25rem, 5vw, 4rem) clamp(1rem, 4vw, 2.5rem) 5rem; }
h1, h2, h3, .folio { font-family: "Iowan Old Style", Palatino, "Palatino Linotype", Georgia, serif; }
h1 { font-size: clamp(1.7rem, 4.6vw, 2.9rem); line-height: 1.15; font-weight: 600; letter-spacing: -.012em;
  max-width: 24em; margin: .35em 0 .5em; text-wrap: balance; }
h2 { font-size: 1.55rem; line-height: 1.2; font-weight: 600; margin: 3.75rem 0 .4rem; }
h3 { font-size: 1.15rem; font-weight: 600; margin: 2rem 0 .5rem; }
h3 small { font: .85rem/1 system-ui, sans-serif; color: var(--soft); margin-left: .4em; }
p { max-width: 42rem; margin: .5rem 0; }
.over { color: var(--soft); letter-spacing: .09em; text-transform: uppercase; font-size: .76rem; font-weight: 600;
  margin: 0; }
.deck { font-size: 1.1rem; } .quiet { color: var(--soft); font-size: .92rem; }
nav { margin-top: 1.5rem; display: flex; flex-wrap: wrap; gap: .35rem 1.25rem; font-size: .95rem; }
a { color: var(--mark); text-underline-offset: .2em; }
:focus-visible { outline: 2px solid var(--mark); outline-offset: 3px; border-radius: 2px; }
.num, td, .count { font-variant-numeric: tabular-nums; }

table { border-collapse: collapse; width: 100%; margin: 1.25rem 0 .75rem; }
caption { text-align: left; color: var(--soft); font-size: .92rem; padding-bottom: .6rem; }
th, td { text-align: left; vertical-align: top; padding: .6rem .5rem; border-top: 1px solid var(--line); }
thead td { border: 0; }
thead th { border-top: 0; border-bottom: 2px solid var(--ink); vertical-align: bottom; font-size: .88rem;
  padding-top: 0; }
tbody th { font-weight: 600; width: 25%; min-width: 11rem; }
th small { display: block; font-weight: 400; color: var(--soft); font-size: .84rem; line-height: 1.35; }
tr.part th { padding-left: 1.5rem; font-weight: 400; } tr.headline > * { padding-bottom: .9rem; }
tr.headline th, tr.headline b { font-size: 1.1em; }
tr.headline + tr > * { border-top: 2px solid var(--line); }
td b { font-weight: 600; }
td .count { color: var(--soft); font-size: .82rem; white-space: nowrap; }
.own { color: var(--mark); } td.own { background: color-mix(in srgb, var(--mark-soft) 45%, transparent); }
td.none { color: var(--soft); }
svg.strip { display: block; width: 100%; max-width: 7rem; height: 12px; margin-top: .3rem; overflow: visible; }
.strip .axis { stroke: var(--line); stroke-width: 1; }
.strip .range { stroke: var(--soft); stroke-width: 3; stroke-linecap: round; opacity: .6; }
.strip line { vector-effect: non-scaling-stroke; }
.strip .dot { stroke: var(--ink); stroke-width: 8; stroke-linecap: round; }
.own .strip .range, .own .strip .dot { stroke: var(--mark); }

.notes { border-left: 3px solid var(--mark); padding: .1rem 0 .1rem 1.1rem; margin: 1.5rem 0; }
dl.solvers { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .92rem;
  max-width: 46rem; }
dl.solvers dt { font-weight: 600; } dl.solvers dd { margin: 0; color: var(--soft); }

ol.items { list-style: none; padding: 0; margin: .5rem 0 1rem; display: grid; gap: .75rem; }
@media (min-width: 62rem) { ol.two { grid-template-columns: 1fr 1fr; } }
.item { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .7rem .95rem .8rem;
  min-width: 0; }
.item dl { display: grid; grid-template-columns: 5.6rem 1fr; gap: .12rem .75rem; margin: 0; align-items: baseline; }
.item dt { color: var(--soft); font-size: .8rem; } .item dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
.folio { font-size: 1.08rem; line-height: 1.45; white-space: pre-wrap; }
.meta { color: var(--soft); font-size: .8rem; margin: .4rem 0 0; max-width: none; }
del, ins { border-radius: 3px; padding: 0 .18em; }
del { color: var(--bad); background: var(--bad-soft); text-decoration: line-through;
  text-decoration-thickness: 1.5px; }
ins { color: var(--good); background: var(--good-soft); text-decoration: underline; text-decoration-thickness: 1.5px;
  text-underline-offset: .18em; }
mark { background: none; color: inherit; border-bottom: 2px dotted var(--mark); }
.right { color: var(--good); } .wrong { color: var(--bad); } .verdict { font-weight: 600; white-space: nowrap; }

details { border-top: 1px solid var(--line); } details:last-of-type { border-bottom: 1px solid var(--line); }
summary { cursor: pointer; padding: .5rem .2rem; display: flex; gap: .25rem 1rem; align-items: baseline;
  list-style: none; }
summary::-webkit-details-marker { display: none; }
summary::before { content: "+"; color: var(--mark); width: .8rem; flex: none; font-weight: 600; }
details[open] > summary::before { content: "\\2212"; }
summary .folio { flex: 1; min-width: 0; } summary .tag { color: var(--soft); font-size: .82rem; white-space: nowrap; }
summary .verdict { width: 4.4rem; text-align: right; font-size: .85rem; }
details .item { margin: .1rem 0 1rem; }
details.more { border: 0; } details.more > summary { color: var(--mark); }
form { display: flex; flex-wrap: wrap; gap: .6rem 1.25rem; align-items: end; margin: 1rem 0; }
form[hidden] { display: none; }
label { font-size: .85rem; color: var(--soft); display: grid; gap: .2rem; }
label.tick { display: flex; gap: .45rem; align-items: center; padding-bottom: .45rem; }
input[type=search], select { font: inherit; color: var(--ink); background: var(--card);
  border: 1px solid var(--soft); border-radius: 5px; padding: .35rem .55rem; min-width: 12rem; }
input[type=search] { min-width: 17rem; }
input[type=checkbox] { accent-color: var(--mark); width: 1.05rem; height: 1.05rem; }
footer { margin-top: 4rem; border-top: 1px solid var(--line); padding-top: 1rem; color: var(--soft);
  font-size: .88rem; }

@media (max-width: 52rem) {
  table, tbody, tr, th, td, caption { display: block; width: auto; }
  thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  tr { border-top: 1px solid var(--line); padding: .8rem 0; } tr.headline { border-top: 2px solid var(--ink); }
  th, td { border: 0; padding: .1rem .4rem; } tr.headline + tr > * { border: 0; }
  tbody th { padding: 0 .4rem .35rem; width: auto; } tr.part th { padding-left: .4rem; }
  tr.part th::before { content: "of these: "; color: var(--soft); }
  td { display: grid; grid-template-columns: 7.2rem 6.4rem 1fr; align-items: center; gap: .5rem; }
  .grades td { grid-template-columns: 8rem 3.4rem 1fr; } .grades .count { white-space: normal; margin: 0; }
  td::before { content: attr(data-label); font-size: .9rem; } td.own { border-radius: 4px; }
  svg.strip { max-width: none; margin: 0; } dl.solvers { grid-template-columns: 1fr; gap: 0; }
  dl.solvers dd { margin-bottom: .4rem; }
  summary:has(> *) { flex-wrap: wrap; } summary .folio { flex: 1 0 calc(100% - 2rem); }
  summary .tag { margin-left: 1.8rem; }
  .item dl { grid-template-columns: 1fr; gap: 0; } .item dt { margin-top: .3rem; }
  input[type=search], select { width: 100%; min-width: 0; } form label:not(.tick) { flex: 1 1 100%; }
}
.strip .zero { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 2; }
#verdict li { max-width: 46rem; } .gate td small { display: block; color: var(--soft); font-size: .82rem; }
@media (max-width: 52rem) {
  .gate td { grid-template-columns: 7.2rem 1fr; } .gate td > svg, .gate td > small { grid-column: 2; }
  .gate .count { white-space: normal; }
  .gate td.none { grid-template-columns: 1fr; } .gate td.none::before { content: none; }
}
ol.groups { list-style: none; padding: 0; display: grid; gap: 1.5rem; } ol.groups > li { min-width: 0; }
ol.groups h3 { margin-top: .5rem; } ol.groups h3 small { display: inline-block; margin: .2rem 0 0 .4em; }
ol.groups ul { margin: .5rem 0; padding-left: 1.2rem; } ol.groups li li { overflow-wrap: anywhere; }
.ladder tr.best th { color: var(--mark); } .ladder .count { white-space: normal; }
@media (max-width: 52rem) {
  .ladder td { grid-template-columns: 7.2rem 6.4rem 1fr; } .ladder td > span:only-child { grid-column: 2 / -1; }
}
figure { margin: .75rem 0; } figcaption { color: var(--soft); font-size: .88rem; }
svg.curve { display: block; width: 100%; max-width: 36rem; height: auto; }
.curve .axis { stroke: var(--line); } .curve polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
.curve .train_loss { stroke: var(--soft); stroke-dasharray: 5 4; } .curve .validation_loss { stroke: var(--mark); }
@media print { form, nav { display: none; } .item, tr { break-inside: avoid; } }
"""

SCRIPT = """
const form = document.querySelector('form'), count = document.getElementById('shown');
const rows = [...document.querySelectorAll('#all details')];
function filter() {
  const words = form.words.value.toLowerCase(), slice = form.slice.value, failed = form.failed.checked;
  let shown = 0;
  for (const row of rows) {
    const fits = row.dataset.text.includes(words) && (!slice || row.dataset.slices.split(' ').includes(slice))
      && (!failed || row.dataset.failed === '1');
    row.hidden = !fits;
    shown += fits;
  }
  count.textContent = shown + ' of ' + rows.length + ' items';
}
form.hidden = false;
form.addEventListener('input', filter);
form.addEventListener('submit', event => event.preventDefault());
filter();
"""
