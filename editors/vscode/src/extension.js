// Starts `python -m archdsl lsp` from the active environment; diagram.js shows networks beside the text.
'use strict';

const { spawn } = require('node:child_process');
const vscode = require('vscode');
const { CloseAction, LanguageClient } = require('vscode-languageclient/node');
const { Diagrams } = require('./diagram');

const SETTING = 'archdsl.interpreter';
let client;
let output;
let diagrams;

/** The Python to run: the setting, the Python extension's active environment, or python3. */
async function interpreter(folder) {
  const chosen = vscode.workspace.getConfiguration('archdsl').get('interpreter');
  if (chosen) return chosen.replaceAll('${workspaceFolder}', folder ?? '.');
  const python = vscode.extensions.getExtension('ms-python.python');
  if (python) {
    try {
      const { environments } = await python.activate();
      const active = environments.getActiveEnvironmentPath(vscode.window.activeTextEditor?.document.uri);
      const found = await environments.resolveEnvironment(active);
      if (found?.executable?.uri) return found.executable.uri.fsPath;
    } catch (error) {
      output.warn(`the Python extension names no environment: ${error}`);
    }
  }
  return process.platform === 'win32' ? 'python' : 'python3';
}

/** What to do about a server that did not start. said: what it wrote before it ended. */
function remedy(command, error, said) {
  const other = `or name another Python in the setting ${SETTING}.`;
  const install = `Install it there with \`${command} -m pip install "archdsl[lsp]"\`, ${other}`;
  if (error.code === 'ENOENT') return `There is no program \`${command}\`. Install Python 3.11 or later, ${other}`;
  if (/No module named '?archdsl/.test(said)) return `\`${command}\` has no archdsl. ${install}`;
  if (/needs pygls/.test(said)) return `The archdsl of \`${command}\` has no language server yet. ${install}`;
  if (/[Uu]nknown option/.test(said)) return `\`${command}\` is older than Python 3.11. Install one, ${other}`;
  return `\`${command} -m archdsl lsp\` does not start: ${said.trim().split('\n').at(-1) || error.message}`;
}

async function start() {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  const command = await interpreter(folder);
  const settings = vscode.workspace.getConfiguration('archdsl');
  let said = '';
  // -P: a file of the workspace that is called as a module of Python's own must not stand in for it.
  const launch = () =>
    new Promise((resolve, reject) => {
      const server = spawn(command, ['-P', '-m', 'archdsl', 'lsp'], { cwd: folder });
      server.once('spawn', () => resolve(server));
      server.once('error', reject);
      server.stderr.on('data', (chunk) => {
        said = (said + chunk).slice(-4000);
        output.info(String(chunk).trimEnd());
      });
    });
  let started = false;
  const starting = new LanguageClient('archdsl', 'archdsl', launch, {
    documentSelector: ['file', 'untitled'].map((scheme) => ({ language: 'archdsl', scheme })),
    initializationOptions: { hints: settings.get('hints'), root: settings.get('root'), diagram: true },
    synchronize: { configurationSection: 'archdsl' },
    outputChannel: output,
    initializationFailedHandler: () => false,
    errorHandler: {
      error: (...told) => usual.error(...told),
      closed: () => (started ? usual.closed() : { action: CloseAction.DoNotRestart, handled: true }),
    },
  });
  const usual = starting.createDefaultErrorHandler();
  client = starting;
  try {
    await starting.start();
    started = true;
    diagrams.changed();
  } catch (error) {
    if (client !== starting) return; // another has been started meanwhile
    client = undefined;
    output.error(String(error));
    vscode.window
      .showErrorMessage(`archdsl: ${remedy(command, error, said)}`, 'Choose Python', 'Show Output')
      .then((choice) => {
        if (choice === 'Show Output') output.show();
        if (choice === 'Choose Python') vscode.commands.executeCommand('workbench.action.openSettings', SETTING);
      });
  }
}

async function stop() {
  const running = client;
  client = undefined;
  try {
    await running?.stop();
  } catch (error) {
    output.error(String(error)); // one that never started
  }
}

async function restart() {
  await stop();
  await start();
}

async function activate(context) {
  output = vscode.window.createOutputChannel('archdsl', { log: true });
  diagrams = new Diagrams((parameters) => client?.sendRequest('archdsl/diagram', parameters));
  context.subscriptions.push(
    output,
    diagrams,
    vscode.commands.registerCommand('archdsl.showDiagram', (uri, arch) => diagrams.show(uri, arch)),
    vscode.commands.registerCommand('archdsl.restart', restart),
    vscode.workspace.onDidChangeConfiguration((event) => event.affectsConfiguration(SETTING) && restart())
  );
  if (vscode.workspace.isTrusted) await start();
  else context.subscriptions.push(vscode.workspace.onDidGrantWorkspaceTrust(start));
}

module.exports = { activate, deactivate: stop };
