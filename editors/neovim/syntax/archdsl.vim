" Written by python -m editors.generate.
if exists('b:current_syntax')
  finish
endif
syntax match archdslOperator '\v[-+*/%<>=|]'
syntax match archdslParameter '\v<[A-Za-z_]\w*>(\s*\=\=@!)@='
syntax match archdslConstant '\v<%(true|false|none|same|valid|copy|in)>'
syntax match archdslFunction '\v<%(ceil|floor|max|min|round|round8|round[1-9][0-9]*)>'
syntax match archdslBlock '\v<%(aggregated|basic|bottleneck|dense|down|fire|fractal|inception|inverted|mbconv|preact|preact_bottleneck|se|separable|transition|up|wide)>'
syntax match archdslLayer '\v<%(adaptiveavgpool|adaptivemaxpool|add|avgpool|bn|channelshuffle|concat|conv|crop|dropout|droppath|dwconv|elu|fc|flatten|gap|gate|gelu|gn|hsigmoid|hswish|identity|instancenorm|layerscale|leakyrelu|ln|lrn|maximum|maxpool|mean|mish|mul|normalize|pad|pixelshuffle|pixelunshuffle|prelu|relu|relu6|scale|sepconv|sigmoid|silu|softmax|split|tanh|upconv|upsample)%([0-9]+%(x[0-9]+)?)?>'
syntax match archdslKeyword '\v<%(block|arch|use|default|let|if|else|input|output|expect|as|and|or|not|aux|carry|residual)>'
syntax match archdslNumber '\v<[0-9][0-9_]*%(\.[0-9]+)?%([eE][+-]?[0-9]+)?[KMG]?>'
syntax match archdslNumber '\v<[0-9]+%(x[0-9A-Za-z_]+)+>'
syntax match archdslRepeat '\v<x[0-9]+>|<x\(@='
syntax match archdslLabel '\v\@[A-Za-z_]\w*'
syntax region archdslString start='"' end='"' oneline
syntax match archdslComment '\v#.*$'
highlight default link archdslOperator Operator
highlight default link archdslParameter Identifier
highlight default link archdslConstant Constant
highlight default link archdslFunction Function
highlight default link archdslBlock Type
highlight default link archdslLayer Function
highlight default link archdslKeyword Keyword
highlight default link archdslNumber Number
highlight default link archdslRepeat Repeat
highlight default link archdslLabel Label
highlight default link archdslString String
highlight default link archdslComment Comment
let b:current_syntax = 'archdsl'
