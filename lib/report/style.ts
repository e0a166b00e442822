/** How reports look: on a screen in light and dark, narrow and wide, and on paper. */
import { html, Markup } from './markup.ts'

/** Nothing is fetched, nothing runs; pictures stand in the page. */
const CSP =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

const LIGHT = `--bg: #f6f7f9; --card: #fff; --text: #16191d; --soft: #59616b; --line: #e2e5ea; --track: #eceff3; --ink: #3b4654;
  --good: #117a3d; --good-bg: #e3f5e9; --bad: #b3261e; --bad-bg: #fdeae8; --warning: #8a5300; --warning-bg: #fff1d9;
  --neutral: #48515c; --neutral-bg: #eceff3; --blue: #2f6fe4; --green: #2a9d5c; --unnamed: #9aa4b1; --failed: #d93025; --accent: #4353c4`

const DARK = `--bg: #0f1216; --card: #171b21; --text: #e8ebef; --soft: #9ca6b3; --line: #2a3038; --track: #232931; --ink: #aab4c0;
  --good: #63d391; --good-bg: #12301f; --bad: #ff8a80; --bad-bg: #3a1714; --warning: #f2b75c; --warning-bg: #35260d;
  --neutral: #b3bcc7; --neutral-bg: #232931; --blue: #6a9dff; --green: #4fc987; --unnamed: #75808d; --failed: #ff6f61; --accent: #8f9dff`

const SCREEN = `:root { color-scheme: light dark; ${LIGHT} }
@media (prefers-color-scheme: dark) { :root { ${DARK} } }
* { box-sizing: border-box }
body { margin: 0; background: var(--bg); color: var(--text); font: 15px/1.55 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; -webkit-text-size-adjust: 100% }
main, footer { max-width: 66rem; margin: 0 auto; padding: 0 1.5rem }
h1 { font-size: clamp(1.5rem, 1.1rem + 1.8vw, 2.15rem); line-height: 1.2; letter-spacing: -.018em; margin: .7rem 0 .55rem; font-weight: 680; text-wrap: balance; overflow-wrap: anywhere }
h2 { font-size: 1.02rem; margin: 0 0 1rem; letter-spacing: -.005em; font-weight: 640 }
h3 { font-size: .92rem; margin: 1.5rem 0 .6rem; font-weight: 620 }
p { margin: .4rem 0; overflow-wrap: anywhere }
code { font: .86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; overflow-wrap: anywhere }
a { color: var(--accent) }
header { padding: 2.6rem 0 1.4rem }
.where { display: flex; flex-wrap: wrap; gap: .3rem .7rem; align-items: center; color: var(--soft); font-size: .88rem }
.lead { font-size: 1.06rem; color: var(--soft); max-width: 50rem }
.pill { display: inline-flex; align-items: center; gap: .4em; padding: .16rem .68rem; border-radius: 99rem; font-weight: 620; font-size: .84rem; white-space: nowrap }
.pill::before { content: ""; width: .5rem; height: .5rem; border-radius: 50%; background: currentColor }
.good { color: var(--good) } .bad { color: var(--bad) } .warning { color: var(--warning) } .neutral { color: var(--neutral) }
.pill.good { background: var(--good-bg) } .pill.bad { background: var(--bad-bg) } .pill.warning { background: var(--warning-bg) } .pill.neutral { background: var(--neutral-bg) }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1px; background: var(--line); border: 1px solid var(--line); border-radius: 14px; overflow: hidden; margin: 0 0 1.25rem }
.figures > div { background: var(--card); padding: 1rem 1.15rem }
.figures dt { color: var(--soft); font-size: .82rem } .figures dd { margin: .1rem 0 0; font-size: 1.42rem; font-weight: 640; letter-spacing: -.015em; font-variant-numeric: tabular-nums; line-height: 1.3 }
.figures small { display: block; text-wrap: balance; font-size: .8rem; font-weight: 400; color: var(--soft); letter-spacing: 0; line-height: 1.4 }
section { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1.3rem 1.4rem; margin: 0 0 1.25rem }
section.callout { border-color: transparent } section.callout.bad { background: var(--bad-bg); color: var(--text) } section.callout.warning { background: var(--warning-bg); color: var(--text) }
section.callout h2 { margin-bottom: .4rem } section.callout.bad h2 { color: var(--bad) } section.callout.warning h2 { color: var(--warning) }
.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .42rem 1.3rem; margin: 0 }
.facts dt { color: var(--soft) } .facts dd { margin: 0; overflow-wrap: anywhere }
.side { overflow-wrap: anywhere } .dot { display: inline-block; width: .62em; height: .62em; border-radius: 50%; margin-right: .42em; background: var(--unnamed) }
.dot.blue { background: var(--blue) } .dot.green { background: var(--green) }
.command { display: block; background: var(--track); border-radius: 9px; padding: .65rem .85rem; margin: .55rem 0 0; white-space: pre-wrap }
.soft { color: var(--soft) } .small { font-size: .87rem }`

const PARTS = `.steps { list-style: none; margin: 0; padding: 0; font-variant-numeric: tabular-nums }
.steps li { display: grid; grid-template-columns: minmax(10rem, 21rem) minmax(0, 1fr) 5rem; gap: 1rem; align-items: center; padding: .38rem 0 }
.steps li + li { border-top: 1px solid var(--line) }
.steps .ms { text-align: right; color: var(--soft); font-size: .9rem } .steps .name { overflow-wrap: anywhere }
.bar { width: 100%; height: 10px; border-radius: 5px; display: block } .track { fill: var(--track) } .fill { fill: var(--accent) }
.chart { margin: 1.1rem 0 .4rem } section > .chart:first-of-type { margin-top: 0 }
figcaption { display: flex; flex-wrap: wrap; gap: .25rem 1.2rem; justify-content: space-between; margin-bottom: .75rem; font-size: .92rem } figcaption b { font-weight: 600 }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; color: var(--soft); font-size: .85rem } .legend span { white-space: nowrap }
.key { display: inline-block; width: .72rem; height: .72rem; border-radius: 3px; margin-right: .42rem; vertical-align: -.06rem; background: var(--ink) }
.plot { display: grid; grid-template-columns: 4.4rem minmax(0, 1fr); font-size: .78rem; color: var(--soft); font-variant-numeric: tabular-nums; padding-right: 1.2rem }
.canvas { position: relative; height: 13rem } .canvas svg { width: 100%; height: 100%; display: block; overflow: visible }
.ys { position: relative } .ys span { position: absolute; right: .65rem; transform: translateY(-50%); white-space: nowrap }
.xs { grid-column: 2; position: relative; height: 1.7rem } .xs span { position: absolute; top: .35rem; transform: translateX(-50%); white-space: nowrap }
.grid { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke } .mark { stroke: var(--text); stroke-width: 1.2; stroke-dasharray: 3 3; vector-effect: non-scaling-stroke }
.note { position: absolute; top: -.25rem; padding-left: .4rem; color: var(--text); white-space: nowrap } .note.left { transform: translateX(-100%); padding: 0 .4rem 0 0 }
.area.blue { fill: var(--blue) } .area.green { fill: var(--green) } .area.unnamed { fill: var(--unnamed) } .area.failed { fill: var(--failed) }
.hist { vector-effect: non-scaling-stroke } .hist.new { fill: var(--accent); fill-opacity: .75 } .hist.old { fill: none; stroke: var(--text); stroke-width: 1.4 } .key.old { background: none; border: 1.5px solid var(--text) } .area.live { fill: var(--green) } .area.prevented { fill: var(--unnamed) }
.key.blue { background: var(--blue) } .key.green, .key.live { background: var(--green) } .key.unnamed, .key.prevented { background: var(--unnamed) } .key.failed, .key.limit { background: var(--failed) } .key.new { background: var(--accent) }
.limit { stroke: var(--failed); stroke-width: 1.5; stroke-dasharray: 6 4; vector-effect: non-scaling-stroke } .beyond { fill: var(--failed); fill-opacity: .08 }
.line { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; stroke-linejoin: round }
.line.one { stroke: var(--accent) } .line.two { stroke: var(--green) } .line.three { stroke: var(--warning) } .line.four { stroke: var(--blue) } .line.five { stroke: var(--unnamed) } .line.six { stroke: var(--text) }
.key.one { background: var(--accent) } .key.two { background: var(--green) } .key.three { background: var(--warning) } .key.four { background: var(--blue) } .key.five { background: var(--unnamed) } .key.six { background: var(--text) }
details { border-top: 1px solid var(--line) } details:last-of-type { border-bottom: 1px solid var(--line) }
summary { cursor: pointer; padding: .62rem 0; display: flex; gap: .7rem; align-items: baseline } summary::before { content: "›"; color: var(--soft); width: .6rem; flex: none } details[open] > summary::before { transform: rotate(90deg) translateX(.15rem) } summary::-webkit-details-marker { display: none }
summary b { font-weight: 600 } summary .soft { margin-left: auto; text-align: right; font-size: .89rem } .icon { width: 1rem; flex: none; font-weight: 700 }
.checks { list-style: none; margin: 0 0 .8rem; padding: 0 0 0 1.35rem; font-size: .92rem } .checks > li { padding: .42rem 0; display: grid; grid-template-columns: 1.15rem minmax(0, 1fr) max-content; gap: .1rem .45rem } .checks p { grid-column: 2 / -1; margin: 0; color: var(--soft); font-size: .88rem } .checks .ms { color: var(--soft); font-variant-numeric: tabular-nums }
.files { display: flex; flex-wrap: wrap; gap: .15rem .9rem } .files a { padding: .15rem 0 } .checks li > span { overflow-wrap: anywhere }
.scores { display: flex; flex-wrap: wrap; gap: 1.5rem 2.2rem; margin: .3rem 0 0; padding: 0; list-style: none } .scores li { text-align: center; font-size: .87rem; color: var(--soft); width: 6.2rem } .gauge { width: 4.1rem; height: 4.1rem; display: block; margin: 0 auto .35rem } .gauge circle { fill: none; stroke-width: 7; stroke: var(--track) } .gauge .of { stroke-linecap: round } .gauge .of.good { stroke: var(--good) } .gauge .of.warning { stroke: var(--warning) } .gauge .of.bad { stroke: var(--bad) } .gauge text { font-size: 27px; font-weight: 640; fill: var(--text); text-anchor: middle }
.shots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); gap: 1.1rem; margin: 0 } .shots figure { margin: 0 } .shots img { max-width: 100%; max-height: 26rem; height: auto; border: 1px solid var(--line); border-radius: 9px; display: block } .shots figcaption { display: block; font-size: .84rem; color: var(--soft); margin: .45rem 0 0; overflow-wrap: anywhere }
.scroll { overflow-x: auto; margin: 0 -1.4rem; padding: 0 1.4rem } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .92rem } th { text-align: left; color: var(--soft); font-weight: 500; font-size: .84rem; white-space: nowrap } th, td { padding: .5rem .8rem .5rem 0; border-bottom: 1px solid var(--line); vertical-align: top } tr:last-child td { border-bottom: 0 } .num { text-align: right } td.nowrap { white-space: nowrap }
.commits { list-style: none; margin: 0; padding: 0 } .commits li { display: grid; grid-template-columns: 6.4rem minmax(0, 1fr) max-content; gap: .2rem .9rem; padding: .42rem 0; border-bottom: 1px solid var(--line) } .commits li:last-child { border: 0 } .commits span { overflow-wrap: anywhere }
footer { color: var(--soft); font-size: .84rem; padding-top: .4rem; padding-bottom: 3rem }
h2.environment { font-size: 1.35rem; margin: 1.6rem 0 .2rem } h2.environment + p { margin-bottom: 1rem } .figures.five { grid-template-columns: repeat(5, minmax(0, 1fr)) } .figures dd.means { font-size: .83rem; font-weight: 400; letter-spacing: 0; margin-top: .5rem; line-height: 1.4 } .figures.five dd.means { color: var(--soft) } td.what { min-width: 14rem } td.wide { min-width: 12rem; overflow-wrap: anywhere }
@media (max-width: 60rem) { .figures.five { grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)) } }
ul.plain { margin: .3rem 0; padding-left: 1.2rem }
@media (max-width: 40rem) { .where [aria-hidden] { display: none } main, footer { padding: 0 1rem } header { padding-top: 1.6rem } section { padding: 1.1rem 1rem } .scroll { margin: 0 -1rem; padding: 0 1rem } .figures { grid-template-columns: 1fr 1fr } .figures > div:last-child:nth-child(odd) { grid-column: 1 / -1 } .steps li { grid-template-columns: minmax(0, 1fr) max-content; gap: .3rem .8rem } .steps .bar { grid-column: 1 / -1; grid-row: 2 } .facts { grid-template-columns: 1fr; gap: 0 } .facts dd { margin-bottom: .6rem } .commits li { grid-template-columns: 6.4rem minmax(0, 1fr) } .commits span:nth-child(2) { grid-column: 1 / -1; grid-row: 2 } .plot { grid-template-columns: 3.9rem minmax(0, 1fr); padding-right: .7rem } .xs span:nth-child(even) { display: none } summary { flex-wrap: wrap } }`

const PAPER = `@page { size: A4; margin: 14mm 13mm }
@media print { :root { color-scheme: light; ${LIGHT}; --bg: #fff } html { font-size: 12px } body { font-size: 9.2pt; print-color-adjust: exact; -webkit-print-color-adjust: exact } main, footer { max-width: none; padding: 0 } header { padding-top: 0 } section { padding: .9rem 1rem; margin-bottom: .8rem } h2, h3, figcaption, summary { break-after: avoid } .figures, .chart, .steps li, .checks > li, .shots figure, .scores, tr, .callout { break-inside: avoid } details::details-content { content-visibility: visible; display: block; height: auto } .canvas { height: 10rem } .figures { grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)) } .checks { columns: 2; column-gap: 2.2rem } .shots { grid-template-columns: 1fr 1fr } .scroll { overflow: visible; margin: 0; padding: 0 } a { color: inherit; text-decoration: none } }`

/** A whole page: one file, no script. */
export function document(title: string, body: Markup): string {
  const style = new Markup([[SCREEN, PARTS, PAPER].join('\n')], [])
  return `${
    html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta http-equiv="Content-Security-Policy" content="${CSP}" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <meta name="description" content="${title}" />
          <meta name="color-scheme" content="light dark" />
          <link rel="icon" href="data:," />
          <title>${title}</title>
          <style>
            ${style}
          </style>
        </head>
        <body>
          ${body}
        </body>
      </html>`.text
  }\n`
}
