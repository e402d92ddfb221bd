-- Drives a headless Neovim through editors/neovim's files; test_neovim.py reads what it writes.
local found, patience = {}, 60000

local function wait(what, condition)
  if not vim.wait(patience, condition, 10) then
    found.failed = what
    vim.fn.writefile({ vim.json.encode(found) }, vim.env.ARCHDSL_FOUND)
    vim.cmd('qall!')
  end
end

local function lines()
  return vim.api.nvim_buf_get_lines(0, 0, -1, false)
end

vim.opt.runtimepath:prepend(vim.env.ARCHDSL_EDITORS)
vim.cmd('filetype on | syntax on | runtime! ftdetect/archdsl.lua | runtime! plugin/archdsl.lua')
vim.cmd.edit(vim.env.ARCHDSL_SPEC)
found.filetype = vim.bo.filetype
found.syntax = vim.fn.synIDattr(vim.fn.synID(3, 3, 1), 'name')

wait('diagnostics', function() return #vim.diagnostic.get(0) > 0 end)
found.codes = vim.tbl_map(function(d) return d.code end, vim.diagnostic.get(0))
found.hints_before_the_mistake = #vim.lsp.inlay_hint.get({ bufnr = 0 })

vim.api.nvim_buf_set_lines(0, 7, 8, false, { '  maxpool' })
wait('no diagnostics', function() return #vim.diagnostic.get(0) == 0 end)
wait('hints', function() return #vim.lsp.inlay_hint.get({ bufnr = 0 }) == 5 end)
found.hints = vim.tbl_map(function(h) return h.inlay_hint.label end, vim.lsp.inlay_hint.get({ bufnr = 0 }))

local client = vim.lsp.get_clients({ name = 'archdsl' })[1]
local function ask(method, row, column, more)
  vim.api.nvim_win_set_cursor(0, { row, column })
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  return client:request_sync(method, vim.tbl_extend('force', params, more or {}), patience, 0).result
end

found.hover = ask('textDocument/hover', 8, 3).contents.value
found.completions = #ask('textDocument/completion', 8, 2)
found.symbols = vim.tbl_map(function(s) return s.name end, ask('textDocument/documentSymbol', 1, 0))
wait('tokens', function() return #(vim.lsp.semantic_tokens.get_at_pos(0, 6, 2) or {}) > 0 end)
found.token = vim.lsp.semantic_tokens.get_at_pos(0, 6, 2)[1].type

vim.lsp.codelens.refresh({ bufnr = 0 })
wait('lens', function() return #vim.lsp.codelens.get(0) > 0 end)
found.lens = vim.lsp.codelens.get(0)[1].command.title

vim.api.nvim_win_set_cursor(0, { 7, 2 })
vim.lsp.buf.definition()
wait('definition', function() return vim.api.nvim_win_get_cursor(0)[1] == 2 end)
vim.lsp.buf.rename('twice')
wait('rename', function() return lines()[7]:find('twice') ~= nil end)
vim.lsp.buf.format({ timeout_ms = patience })
found.text = lines()

vim.fn.writefile({ vim.json.encode(found) }, vim.env.ARCHDSL_FOUND)
vim.cmd('qall!')
