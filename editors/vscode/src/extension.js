// Starts `python -m archdsl lsp` from the active environment, and shows diagrams beside the text.
'use strict';

const path = require('node:path');
const { execFile } = require('node:child_process');
const vscode = require('vscode');
const { LanguageClient, TransportKind } = require('vscode-languageclient/node');

let client;
let output;

/** The Python to run: the setting, the Python extension's active environment, or python3. */
async function interpreter() {
  const chosen = vscode.workspace.getConfiguration('archdsl').get('interpreter');
  if (chosen) return chosen;
  const python = vscode.extensions.getExtension('ms-python.python');
  if (python) {
    try {
      const { environments } = await python.activate();
      const active = environments.getActiveEnvironmentPath(vscode.window.activeTextEditor?.document.uri);
      const found = await environments.resolveEnvironment(active);
      if (found?.executable?.uri) return found.executable.uri.fsPath;
    } catch (error) {
      output.appendLine(`the Python extension names no environment: ${error}`);
    }
  }
  return process.platform === 'win32' ? 'python' : 'python3';
}

async function start() {
  const command = await interpreter();
  const settings = vscode.workspace.getConfiguration('archdsl');
  const server = { command, args: ['-m', 'archdsl', 'lsp'], transport: TransportKind.stdio };
  client = new LanguageClient('archdsl', 'archdsl', server, {
    documentSelector: [{ language: 'archdsl' }],
    initializationOptions: { hints: settings.get('hints'), root: settings.get('root'), diagram: true },
    synchronize: { configurationSection: 'archdsl' },
    outputChannel: output,
  });
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    const message = `archdsl: ${command} does not start the language server. Install it there: pip install "archdsl[lsp]"`;
    const choice = await vscode.window.showErrorMessage(message, 'Show Output');
    output.appendLine(String(error));
    if (choice) output.show();
  }
}

async function stop() {
  const running = client;
  client = undefined;
  await running?.stop();
}

/** A network's diagram as SVG. Rejects with what the program says. */
function drawn(command, file, arch) {
  const words = ['-m', 'archdsl', 'draw', file, '-o', '-', ...(arch ? ['--arch', arch] : [])];
  return new Promise((resolve, reject) => {
    execFile(command, words, { cwd: path.dirname(file), maxBuffer: 64 * 2 ** 20 }, (error, svg, said) =>
      error ? reject(new Error(said || error.message)) : resolve(svg)
    );
  });
}

const escaped = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

/** Open a diagram beside the text, and draw it anew whenever the text is saved. */
async function showDiagram(uri, arch) {
  const document = uri
    ? await vscode.workspace.openTextDocument(vscode.Uri.parse(uri))
    : vscode.window.activeTextEditor?.document;
  if (document?.languageId !== 'archdsl') return;
  if (document.isUntitled || (document.isDirty && !(await document.save()))) {
    vscode.window.showInformationMessage('archdsl: save the spec to see its diagram');
    return;
  }
  const title = arch || path.basename(document.fileName, '.arch');
  const panel = vscode.window.createWebviewPanel('archdsl.diagram', title, vscode.ViewColumn.Beside, {});
  const page = (body) =>
    '<!DOCTYPE html><html><head><meta charset="utf-8">' +
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">` +
    `<style>body { background: white; color: black } svg { max-width: 100%; height: auto }</style></head>` +
    `<body>${body}</body></html>`;
  const draw = async () => {
    try {
      panel.webview.html = page(await drawn(await interpreter(), document.fileName, arch));
    } catch (error) {
      panel.webview.html = page(`<pre>${escaped(error.message)}</pre>`);
    }
  };
  const saved = vscode.workspace.onDidSaveTextDocument((one) => one.languageId === 'archdsl' && draw());
  panel.onDidDispose(() => saved.dispose());
  await draw();
}

async function activate(context) {
  output = vscode.window.createOutputChannel('archdsl');
  context.subscriptions.push(
    output,
    vscode.commands.registerCommand('archdsl.showDiagram', showDiagram),
    vscode.commands.registerCommand('archdsl.restart', async () => {
      await stop();
      await start();
    }),
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (event.affectsConfiguration('archdsl.interpreter')) {
        await stop();
        await start();
      }
    })
  );
  if (vscode.workspace.isTrusted) await start();
  else context.subscriptions.push(vscode.workspace.onDidGrantWorkspaceTrust(start));
}

module.exports = { activate, deactivate: stop };
