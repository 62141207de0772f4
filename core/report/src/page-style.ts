import { seriesVariables } from './palette.js';

const light = `--page:#fff;--ink:#1b1f24;--muted:#59616b;--rule:#d9dde2;--panel:#f5f6f8;
--shade:#1b1f2440;--accent:#0068a8;--warning:#8a5300;--warning-panel:#fff6e5;${seriesVariables.light}`;

const dark = `--page:#14171b;--ink:#e4e7eb;--muted:#a2abb6;--rule:#343a42;--panel:#1d2126;
--shade:#e4e7eb40;--accent:#6cbcec;--warning:#f0b860;--warning-panel:#2b2417;${seriesVariables.dark}`;

/** CSS declarations of all colours, for each colour scheme. */
export const colorVariables = { light, dark };

/** The style sheet of the page. Dark is for screens only: paper is white. */
export const pageStyle = `
:root{color-scheme:light dark;${light}}
@media screen and (prefers-color-scheme:dark){:root{${dark}}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;
overflow-wrap:break-word}
.page{max-width:62rem;margin:0 auto;padding:3rem 1rem 4rem}
h1,h2,h3{line-height:1.25;margin:0;text-wrap:balance}
h1{font-size:clamp(1.6rem,1.2rem + 1.8vw,2.2rem);font-weight:650;letter-spacing:-.015em}
h2{font-size:1.35rem;font-weight:650;letter-spacing:-.01em}
h3{font-size:1rem;font-weight:600}
p{margin:0 0 .75rem;max-width:44rem}
p:last-child{margin-bottom:0}
a{color:var(--accent);text-underline-offset:.18em}
.subtitle{margin:.6rem 0 0;font-size:1.1rem;color:var(--muted)}
.generated{margin:.4rem 0 0;font-size:.875rem;color:var(--muted)}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:1.25rem 0 0;padding:0;list-style:none;font-size:.9375rem}
section{margin-top:2.75rem;padding-top:1.5rem;border-top:1px solid var(--rule)}
.lead{margin:.5rem 0 0;color:var(--muted)}
.blocks{display:grid;grid-template-columns:minmax(0,1fr);gap:2.25rem;margin-top:1.5rem}
.block{margin:0;min-width:0}
figure{margin:0}
figcaption{margin-top:.75rem;max-width:44rem;font-size:.875rem;line-height:1.5;color:var(--muted)}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.25rem;margin:.5rem 0 0;padding:0;list-style:none;font-size:.875rem}
.legend li{display:flex;align-items:center;gap:.5rem;min-width:0}
.legend svg{flex:none}
.legend span{min-width:0}
.drawing{margin-top:.5rem}
.drawing svg{display:block;width:100%;height:auto;font-family:inherit}
.drawing text{white-space:pre}
.full>.compact{display:none}
.compact svg{max-width:30rem}
.empty{margin:.75rem 0 0;padding:1.5rem 1rem;background:var(--panel);border-radius:6px;color:var(--muted);text-align:center;max-width:none}
.scroll{position:relative;margin-top:.75rem;overflow-x:auto;max-width:100%;
background:linear-gradient(to left,var(--page) 1.25rem,transparent) right/2.5rem 100% no-repeat local,
linear-gradient(to left,var(--shade),transparent) right 1px top/1.25rem 100% no-repeat}
.scroll:focus-visible,pre:focus-visible,summary:focus-visible,a:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:2px}
table{border-collapse:separate;border-spacing:0;min-width:100%;font-size:.9375rem;line-height:1.4;font-variant-numeric:tabular-nums lining-nums;border-block:1.5px solid var(--ink)}
th,td{padding:.45rem .9rem;text-align:left;vertical-align:baseline;white-space:nowrap}
th:first-child,td:first-child{padding-left:.25rem}
th:last-child,td:last-child{padding-right:.25rem}
thead th{font-weight:600;border-bottom:1px solid var(--ink);vertical-align:bottom;white-space:normal;text-wrap:balance;min-width:6.5rem}
thead .short{white-space:nowrap;min-width:0}
td.left{white-space:pre-line}
td.left.long{min-width:7rem}
th:first-child{position:sticky;left:0;z-index:1;background:var(--page)}
tbody th{font-weight:400;min-width:6rem;max-width:min(22rem,45vw);white-space:normal}
tbody th.long{min-width:min(10rem,40vw)}
tbody tr+tr>*{border-top:1px solid var(--rule)}
.right{text-align:right}
.center{text-align:center}
td strong{font-weight:700}
details{font-size:.9375rem}
summary{cursor:pointer;width:fit-content;color:var(--muted);padding:.15rem 0}
summary:hover{color:var(--ink)}
details.data{margin-top:.5rem;font-size:.875rem}
details.data .scroll{max-height:24rem;overflow-y:auto}
details.data table{font-size:.875rem}
details.data thead th{position:sticky;top:0;z-index:2;background:var(--page)}
details.data thead th:first-child{z-index:3}
pre{margin:.5rem 0 0;padding:1rem;max-height:32rem;overflow:auto;background:var(--panel);border-radius:6px;font:.8125rem/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;tab-size:2}
code{font:inherit}
.note{padding:.8rem 1rem;border-left:3px solid var(--accent);background:var(--panel);border-radius:0 6px 6px 0}
.note strong{display:block;font-size:.875rem;color:var(--accent)}
.note.warning{border-color:var(--warning);background:var(--warning-panel)}
.note.warning strong{color:var(--warning)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:1rem 1.5rem}
dt{font-size:.8125rem;color:var(--muted)}
dd{margin:0;font-variant-numeric:tabular-nums}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media screen and (max-width:719px){
.page{padding-top:2rem}
.full>.wide{display:none}
.full>.compact{display:block}
th,td{padding-inline:.6rem}
}
@media screen and (min-width:720px){
td.left.long{min-width:14rem}
}
@media (min-width:900px){
.blocks{grid-template-columns:repeat(2,minmax(0,1fr));column-gap:2.5rem}
.full{grid-column:1/-1}
}
@media print{
@page{margin:18mm}
html,body{font-size:10pt}
.page{max-width:none;padding:0}
nav,#manifest:not(:has([open])),details:not([open]){display:none}
section{margin-top:1.5rem}
figure,.note,tr{break-inside:avoid}
h1,h2,h3{break-after:avoid}
.scroll,pre{overflow:visible;max-height:none}
th,td,pre{white-space:normal}
th,td{padding-inline:.3rem}
thead th,tbody th.long{min-width:0}
table{font-size:8.5pt}
pre{white-space:pre-wrap}
th:first-child,details.data thead th{position:static}
.scroll{background:none}
}
`;
