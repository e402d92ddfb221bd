// Pictures of networks beside their texts. They follow the text as it is typed, saved or not; while it has a mistake,
// the last picture stays, under a line that says what is wrong.
'use strict';

const vscode = require('vscode');

const METHOD_NOT_FOUND = -32601; // the protocol's number: the server is older than this extension
const PAUSE = 250; // milliseconds without a key, before a picture is drawn anew

const page = (nonce) => `<!DOCTYPE html>
<html><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-${nonce}'">
<style>
  body { background: white; margin: 0; padding: 0 }
  #picture { padding: 12px } #picture svg { display: block; max-width: 100%; height: auto; margin: auto }
  #problem { position: sticky; top: 0; padding: 6px 12px; font: 13px var(--vscode-font-family);
    color: var(--vscode-inputValidation-errorForeground, var(--vscode-foreground));
    background: var(--vscode-inputValidation-errorBackground);
    border-bottom: 1px solid var(--vscode-inputValidation-errorBorder) }
  #problem:empty { display: none } .old { opacity: 0.45 }
</style></head>
<body><div id="problem"></div><div id="picture"></div>
<script nonce="${nonce}">
  const problem = document.getElementById('problem'), picture = document.getElementById('picture');
  window.addEventListener('message', ({ data }) => {
    problem.textContent = data.problem || '';
    picture.className = data.problem ? 'old' : '';
    if (picture.innerHTML !== data.svg) picture.innerHTML = data.svg;
  });
  acquireVsCodeApi().postMessage('ready');
</script></body></html>`;

/** One picture. ask: sends the server's request, and gives its promise; undefined where no server runs. */
class Diagram {
  constructor(ask, uri, arch, closed) {
    this.ask = ask;
    this.uri = uri;
    this.arch = arch;
    this.shown = { svg: '', problem: '' };
    this.asked = 0;
    const options = { enableScripts: true, localResourceRoots: [] };
    const name = arch || uri.path.split('/').at(-1).replace(/\.arch$/, '');
    this.panel = vscode.window.createWebviewPanel(
      'archdsl.diagram', name, { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true }, options
    );
    this.panel.webview.onDidReceiveMessage(() => this.draw()); // it is there, or there again
    this.panel.onDidDispose(() => {
      clearTimeout(this.timer);
      closed();
    });
    this.panel.webview.html = page([...crypto.getRandomValues(new Uint8Array(16))].join(''));
  }

  changed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.panel.visible && this.draw(), PAUSE);
  }

  async draw() {
    const number = ++this.asked;
    let made;
    try {
      made = await this.ask({ textDocument: { uri: this.uri.toString() }, arch: this.arch ?? null });
      made ??= { problem: this.isOpen() ? 'The language server is not running.' : 'The text has been closed.' };
    } catch (error) {
      const old = error.code === METHOD_NOT_FOUND;
      made = { problem: old ? 'This archdsl draws no diagrams yet: update it.' : String(error.message ?? error) };
    }
    if (number !== this.asked) return; // a later one is under way
    const old = made.problem && this.shown.svg ? ' (below: the network before that)' : '';
    this.shown = { svg: made.svg || this.shown.svg, problem: (made.problem || '') + old };
    this.panel.webview.postMessage(this.shown);
  }

  isOpen() {
    return vscode.workspace.textDocuments.some((document) => document.uri.toString() === this.uri.toString());
  }
}

class Diagrams {
  constructor(ask) {
    this.ask = ask;
    this.open = new Map();
    const ours = (document) => document.languageId === 'archdsl' && this.changed(); // another may `use` it
    this.subscriptions = [
      vscode.workspace.onDidChangeTextDocument((event) => ours(event.document)),
      vscode.workspace.onDidOpenTextDocument(ours),
      vscode.workspace.onDidCloseTextDocument(ours),
    ];
  }

  /** Open the picture of an arch, or of a text's first; without a URI, of the text that is in front. */
  show(uri, arch) {
    const place = uri ? vscode.Uri.parse(String(uri)) : vscode.window.activeTextEditor?.document.uri;
    if (!place) return;
    const name = `${place} ${arch ?? ''}`;
    const there = this.open.get(name);
    if (there) there.panel.reveal(undefined, true);
    else this.open.set(name, new Diagram(this.ask, place, arch, () => this.open.delete(name)));
  }

  changed() {
    this.open.forEach((diagram) => diagram.changed());
  }

  dispose() {
    this.subscriptions.forEach((one) => one.dispose());
    this.open.forEach((diagram) => diagram.panel.dispose());
  }
}

module.exports = { Diagrams };
