vim.filetype.add({ extension = { arch = 'archdsl' } })
