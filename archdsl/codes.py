"""Every diagnostic code: its title and what `archdsl explain` says of it. One table; the tests compare it
with the golden files in `tests/errors/`, one of each name.

A page may hold an example after a line `Wrong:` and its repair after `Right:`, both indented. They are tests:
the first must be reported under this very code, the second must
check without an error.
"""

from __future__ import annotations

from textwrap import dedent

from archdsl.diagnostics import Code


def _code(title: str, page: str) -> Code:
    return Code(title, dedent(page).strip("\n"))


CODES: dict[str, Code] = {
    # ---- A0xx: syntax ----
    "A001": _code(
        "text that fits nowhere",
        """
        Nothing of the language can stand at the marked place. The step before it is complete, or it
        needs something else here.

        Wrong:

            arch net { input 3x32x32; conv3-64 = stem }

        A step is: operation, width, stride, arguments, body, repeat, `as` label, `->` shape, in
        this order.

        Right:

            arch net { input 3x32x32; conv3-64 as stem }
        """,
    ),
    "A002": _code(
        "no separator between two steps",
        """
        Two steps stand side by side with nothing between. Steps are separated by `;` or by a new
        line.

        Wrong:

            arch net { input 3x32x32; conv3-64 relu }

        Right:

            arch net { input 3x32x32; conv3-64; relu }
        """,
    ),
    "A003": _code(
        "a bracket that is never closed",
        """
        A `(`, `[` or `{` has no partner. The message points at the bracket that was opened, since
        the end of the file says little about where the closing one belongs.

        Wrong:

            arch net { input 3x32x32; concat [ conv1-8 | conv3-8 }

        Right:

            arch net { input 3x32x32; concat [ conv1-8 | conv3-8 ] }
        """,
    ),
    "A004": _code(
        "a closing bracket that nothing opened",
        """
        A `)`, `]` or `}` closes nothing: there is one too many, or an opening one is missing
        further up.

        Wrong:

            arch net { input 3x32x32; conv3-64 } }

        Right:

            arch net { input 3x32x32; conv3-64 }
        """,
    ),
    "A005": _code(
        "a repeat with no step before it",
        """
        `xN` repeats the step that it follows on the same line. A new line ends a step, so an `x2`
        that begins a line has nothing to repeat.

        Wrong:

            arch net {
              input 3x32x32
              conv3-64
              x2
            }

        Right:

            arch net {
              default conv(act=relu)
              input 3x32x32
              conv3-64 x2
            }

        Several steps are repeated together in braces: `{ conv3-64; relu } x2`.
        """,
    ),
    "A006": _code(
        "a repeat or a shape glued to a number",
        """
        A number runs straight into an `x`. `64x2` could be a shape or a repeat, so outside of
        shapes the language wants a blank before the `x` of a repeat.

        Wrong:

            arch net { input 3x32x32; conv3-64x2 }

        Right:

            arch net { default conv(act=relu); input 3x32x32; conv3-64 x2 }
        """,
    ),
    "A007": _code(
        "arithmetic outside parentheses",
        """
        In a step, `-` announces the width and `/` the stride. They are minus and division only
        inside parentheses.

        Wrong:

            arch net(k=32) { input 3x32x32; conv3-k-1 }

        Right:

            arch net(k=32) { input 3x32x32; conv3-(k-1) }
        """,
    ),
    "A008": _code(
        "an empty branch",
        """
        A branch, a body or a group holds no step. An empty branch may mean "pass the input on" or a
        forgotten step, so it has to be said: `identity` passes the input on.

        Wrong:

            arch net { input 3x32x32; concat [ conv3-8 | ] }

        Right:

            arch net { input 3x32x32; concat [ conv3-8 | identity ] }
        """,
    ),
    "A009": _code(
        "not a number of the language",
        """
        Numbers are written `64`, `25_557_032`, `0.5`, `1e-3`, `4.09G`: at least one digit on each
        side of the point, underscores between digits only, one of K, M, G at the end.

        Wrong:

            arch net { input 3x32x32; conv3-64; dropout(0.5.1) }

        Right:

            arch net { input 3x32x32; conv3-64; dropout(0.5) }
        """,
    ),
    "A010": _code(
        "a reserved word used as a name",
        """
        These words have a meaning of their own and can't be names: use as block arch default let if
        else input output expect. Nor can `x2` and its like, which are repeats.

        Wrong:

            arch net { input 3x32x32; conv3-64 as output }

        Right:

            arch net { input 3x32x32; conv3-64 as features }
        """,
    ),
    "A011": _code(
        "a character that the language does not use",
        """
        Outside of comments a spec is plain ASCII. Text copied from a paper often brings
        look-alikes: a long dash for `-`, a multiplication sign for `x`, an arrow for `->`, a blank
        that does not break.

        Wrong:

            arch net { input 3x32x32; conv3–64 }

        Right:

            arch net { input 3x32x32; conv3-64 }
        """,
    ),
    "A012": _code(
        "a string that does not end",
        """
        A string begins and ends with `"` on one line. Only `use` takes one.

        Wrong:

            use "families/resnet.arch

        Write the closing quote: `use "families/resnet.arch"`.
        """,
    ),
    "A013": _code(
        "a statement where it can't stand",
        """
        `use`, `block` and `arch` stand at the top of a file. `input`, `default`, `output` and
        `expect` belong to a network, not to a block, a branch or a repeat.

        Wrong:

            arch net {
              input 3x32x32
              block pair(f) { conv3-f x2 }
              pair(64)
            }

        Right:

            block pair(f) { conv3-f x2 }
            arch net {
              default conv(act=relu)
              input 3x32x32
              pair(64)
            }
        """,
    ),
    # ---- A1xx: names and arguments ----
    "A101": _code(
        "no layer or block of that name",
        """
        A step begins with the name of a layer, of a block of this file, of one that `use` brings
        in, or of one from the library. Kernel digits may follow a layer's name: `conv3`,
        `maxpool2`, `conv1x7`.

        Wrong:

            arch net { input 3x32x32; covn3-64 }

        Right:

            arch net { input 3x32x32; conv3-64 }

        `archdsl layers` lists what there is.
        """,
    ),
    "A102": _code(
        "no argument of that name",
        """
        The layer or block has no argument that is called so. Nothing is ever ignored: an argument
        with a typing slip would otherwise leave its default in force without a word.

        Wrong:

            arch net { input 3x32x32; conv3-64(paddin=1) }

        Right:

            arch net { input 3x32x32; conv3-64(padding=1) }

        `archdsl layers conv` lists the arguments of `conv`.
        """,
    ),
    "A103": _code(
        "an argument given twice",
        """
        One argument has two values: written twice, written under both of its names, or once by its
        place and once by name. The same holds for `conv3(kernel=5)`, where the digits are the
        kernel already.

        Wrong:

            arch net { input 3x32x32; conv3-64(p=1, p=2) }

        Right:

            arch net { input 3x32x32; conv3-64(p=1) }
        """,
    ),
    "A104": _code(
        "an argument that is missing",
        """
        The layer or block needs a value that has no default. A convolution needs a width: how many
        channels come out.

        Wrong:

            arch net { input 3x32x32; conv3 }

        Right:

            arch net { input 3x32x32; conv3-64 }
        """,
    ),
    "A105": _code(
        "a value that an argument can't take",
        """
        The argument exists, but not for this value: of the wrong kind, or outside of its range.

        Wrong:

            arch net { input 3x32x32; conv3-64; dropout(1.5) }

        A dropout rate is a share, at least 0 and less than 1.

        Right:

            arch net { input 3x32x32; conv3-64; dropout(0.5) }
        """,
    ),
    "A106": _code(
        "a name that stands for nothing here",
        """
        An expression names something that is neither a parameter of the block or arch around it,
        nor a `let` before it, nor a word that the argument knows. Blocks see their own parameters
        only.

        Wrong:

            arch net(classes=10) { input 3x32x32; gap; fc-clases }

        Right:

            arch net(classes=10) { input 3x32x32; gap; fc-classes }
        """,
    ),
    "A107": _code(
        "no label of that name",
        """
        `@name` takes the tensor that an earlier step labelled with `as name`, or a `@name`
        parameter of the block around it. A label can be used after its step only, and not from
        inside another block.

        Wrong:

            arch net { input 3x32x32; conv3-64 as stem; conv3-64; add [ identity | @steam ] }

        Right:

            arch net { input 3x32x32; conv3-64 as stem; conv3-64; add [ identity | @stem ] }
        """,
    ),
    "A108": _code(
        "a name defined twice",
        """
        Two blocks, two archs, two parameters or two labels of one place share a name, so that using
        it would be ambiguous. Two equal labels would also share one attribute of the module, and
        with it their weights.

        Wrong:

            arch net { input 3x32x32; conv3-64 as stem; conv3-64 as stem }

        Right:

            arch net { default conv(act=relu); input 3x32x32; conv3-64 as stem; conv3-64 as body }
        """,
    ),
    "A109": _code(
        "a label that can't be an attribute of a module",
        """
        A label becomes an attribute of the emitted `nn.Module`. Python's keywords and the names
        that modules use themselves (`forward`, `train`, `parameters`, ...) would break it, and so
        would a leading underscore.

        Wrong:

            arch net { input 3x32x32; conv3-64 as forward }

        Right:

            arch net { input 3x32x32; conv3-64 as stem }
        """,
    ),
    "A110": _code(
        "too many arguments",
        """
        More arguments stand in the parentheses than the layer or block takes by place.

        Wrong:

            arch net { input 3x32x32; conv3-64; dropout(0.5, 2) }

        Right:

            arch net { input 3x32x32; conv3-64; dropout(0.5) }
        """,
    ),
    "A111": _code(
        "a part that this operation does not have",
        """
        A kernel, a width, a stride, a body or branches are written on an operation that has no use
        for them. A layer without weights keeps its channels, so it takes no width.

        Wrong:

            arch net { input 3x32x32; conv3-64; relu-64 }

        Right:

            arch net { input 3x32x32; conv3-64; relu }
        """,
    ),
    "A112": _code(
        "no input shape",
        """
        Nothing says what comes into the network, so no shape can be worked out.

        Wrong:

            arch net { conv3-64 }

        Right:

            arch net { input 3x32x32; conv3-64 }

        Channels, height and width of one image; the batch is never written. From outside: `--input
        3x32x32`.
        """,
    ),
    "A113": _code(
        "which network is meant",
        """
        The file holds several networks, or none, or none of the name that was asked for, and the
        command needs one.

            arch small { input 3x32x32; conv3-16 }
            arch large { input 3x32x32; conv3-64 }

        Name one: `archdsl compile nets.arch --arch small`. `archdsl check nets.arch` checks them
        all.
        """,
    ),
    "A114": _code(
        "a file that can't be used",
        """
        `use` names a file that does not exist, can't be read, is not UTF-8 text, or uses itself in
        a circle. The path is relative to the file that it stands in.

        Wrong:

            use "no/such/file.arch"
            arch net { input 3x32x32; conv3-64 }

        Right:

            arch net { input 3x32x32; conv3-64 }
        """,
    ),
    "A115": _code(
        "a file outside the spec's root",
        """
        `use` may only reach files in the spec's own root (its folder, or `--root`), so that a spec
        from elsewhere can't read the rest of the disk. Absolute paths, `..` out of the root, and
        links that lead out of it are refused.

        Wrong:

            use "../../../elsewhere.arch"
            arch net { input 3x32x32; conv3-64 }

        Copy the file below the root, or name a wider root: `archdsl check --root .. net.arch`.
        """,
    ),
    "A116": _code(
        "a value that can't be computed",
        """
        An expression has no value: a division by zero, arithmetic on something that is no number, a
        number that has to be whole and is not, or a function that does not exist.

        Wrong:

            arch net(n=0) { input 3x32x32; conv3-(64 // n) }

        Right:

            arch net(n=2) { input 3x32x32; conv3-(64 // n) }
        """,
    ),
    "A117": _code(
        "a network without layers",
        """
        The network ends as it begins: no step remains after conditions and repeats are worked out.

        Wrong:

            arch net { input 3x32x32 }

        Right:

            arch net { input 3x32x32; conv3-64 }
        """,
    ),
    # ---- A2xx: shapes ----
    "A201": _code(
        "a window that does not fit",
        """
        The kernel of a convolution or pool is larger than the image that it slides over, padding
        counted, so there is no place to put it: (side + 2*padding - kernel) / stride + 1 comes out
        below 1.

        Wrong:

            arch net { input 3x4x4; conv3-8; maxpool5 }

        Right:

            arch net { input 3x4x4; conv3-8; maxpool4 }

        Often the image was shrunk once too often further up: `archdsl summary` shows every size.
        """,
    ),
    "A202": _code(
        "branches of shapes that can't be merged",
        """
        `concat` joins branches along the channels, so their heights and widths must be equal.
        `add`, `mean` and `maximum` work element by element, so the whole shapes must be equal.
        `mul` also takes a Cx1x1.

        Wrong:

            arch net { input 3x32x32; concat [ conv3-8 | conv3-8/2 ] }

        Right:

            arch net { input 3x32x32; concat [ conv3-8/2 | conv5-8/2 ] }
        """,
    ),
    "A203": _code(
        "a shape contract that does not hold",
        """
        `-> 64x16x16` after a step states the shape that it must have: the "output size" column of a
        paper's table. What the compiler worked out is another. Either the contract or a step before
        it is wrong.

        Wrong:

            arch net { input 3x32x32; conv3-64/2 -> 64x32x32 }

        Right:

            arch net { input 3x32x32; conv3-64/2 -> 64x16x16 }

        A size that does not matter is written `_`: `-> 64x_x_`.
        """,
    ),
    "A204": _code(
        "an input of the wrong kind",
        """
        The layer takes an image (channels, height, width) and a vector comes in, or the other way
        round. After the first `fc` or `flatten` there is no height and width any more.

        Wrong:

            arch net { input 3x32x32; fc-10; conv3-64 }

        Right:

            arch net { input 3x32x32; conv3-64; fc-10 }
        """,
    ),
    "A205": _code(
        "channels that can't be divided",
        """
        Grouped layers share their channels out evenly: the channels coming in, and for a
        convolution those going out as well, must be a multiple of the number of groups.

        Wrong:

            arch net { input 3x32x32; conv3-64; conv3-64(groups=3) }

        Right:

            arch net { default conv(act=relu); input 3x32x32; conv3-64; conv3-64(groups=4) }
        """,
    ),
    "A206": _code(
        "a size that is not known",
        """
        The input's size is a symbol, as in `input 3xHxW`, and the layer needs a number: the weights
        of an `fc` depend on how many values come in.

        Wrong:

            arch net { input 3xHxW; conv3-64; fc-10 }

        Right:

            arch net { input 3xHxW; conv3-64; gap; fc-10 }

        `gap` averages each channel over whatever size there is, so 64 values are left.
        """,
    ),
    "A207": _code(
        "a shortcut that can't match",
        """
        `residual` adds its input to what its body computes. The shortcut that was asked for can't
        bring the input to the body's shape: `identity` needs equal shapes, `pad` can only add
        channels and stride.

        Wrong:

            arch net { input 3x32x32; residual(shortcut=identity) { conv3-64/2 } }

        Right:

            arch net { input 3x32x32; residual(shortcut=projection) { conv3-64/2 } }

        Without `shortcut=`, a projection is put in where the shapes differ.
        """,
    ),
    "A208": _code(
        "a published figure that is not met",
        """
        `expect(...)` states the figures that a paper gives: params, macs, buffers, total. The
        network has others, so it is not the published one, or the figure was copied wrongly.

        Wrong:

            arch net { input 3x32x32; conv3-64; expect(params=1_790) }

        Right:

            arch net { input 3x32x32; conv3-64; expect(params=1_792) }

        A figure with a suffix is compared at the precision it is written in: 1.8K holds for 1,750
        to 1,849.
        """,
    ),
    # ---- A3xx: limits ----
    "A301": _code(
        "a source that is too long",
        """
        A source may hold 1 MiB. Published networks take a few dozen lines, so a longer text is most
        likely not a spec. Blocks, repeats and `use` make a long one short.
        """,
    ),
    "A302": _code(
        "brackets nested too deep",
        """
        Brackets may be nested 200 deep, so that no text can exhaust the compiler. Give inner parts
        names with `block`, and write copies as a repeat: `dense(32) x6`.
        """,
    ),
    "A303": _code(
        "blocks that call each other too deep",
        """
        Blocks may call blocks, and themselves, 200 deep. Beyond that a recursion most likely never
        ends.

        Wrong:

            block tower(n) { conv3-8; tower(n - 1) }
            arch net { input 3x32x32; tower(3) }

        It needs an `if` that stops it.

        Right:

            block tower(n) { conv3-8; relu; if n > 1 { tower(n - 1) } }
            arch net { input 3x32x32; tower(3) }
        """,
    ),
    "A304": _code(
        "too many layers",
        """
        A network may have 200,000 layers, so that a short text can't fill the machine. The count is
        taken after repeats and blocks are worked out; repeats within repeats multiply.

        Wrong:

            arch net { input 3x32x32; { relu x1000 } x1000 }

        Right:

            arch net { input 3x32x32; { relu x10 } x10 }
        """,
    ),
    "A305": _code(
        "a dimension that is too large",
        """
        No dimension of a tensor may pass 2^31 - 1: neither torch nor any device handles a larger
        one.

        Wrong:

            arch net { input 3x3_000_000_000x32; conv3-64 }

        Right:

            arch net { input 3x3_000x32; conv3-64 }
        """,
    ),
    "A306": _code(
        "imports nested too deep",
        """
        A file may `use` a file that uses another, 32 deep. Let the files use what they need
        directly.
        """,
    ),
    "A307": _code(
        "a number that is too large",
        """
        A written or computed number passes what the compiler calculates with, 2^63 - 1, so that no
        chain of multiplications can fill the machine.

        Wrong:

            arch net { input 3x32x32; let n = 10_000_000_000 * 10_000_000_000; conv3-n }

        Right:

            arch net { input 3x32x32; let n = 8 * 8; conv3-n }
        """,
    ),
    "A308": _code(
        "a picture of too many boxes",
        """
        `archdsl draw` draws up to 4,000 boxes, `archdsl plot` up to 400 bars: more is no picture that
        anyone could read. Copies that the spec writes as a repeat are drawn once, with their number, and
        blocks only to the depth that is asked for.

        Draw it with a smaller `--depth`, or write copies as a repeat: `dense(32) x6`.
        """,
    ),
    # ---- A4xx: backends ----
    "A401": _code(
        "a package that is not installed",
        """
        The command needs a package that this Python does not have. Checking, the tables and writing
        the module need no torch; comparing the module with torch, and running it, do.

        Install it (`pip install torch`), or leave the comparison out: `archdsl compile net.arch
        --no-verify`.
        """,
    ),
    "A402": _code(
        "torch does not agree",
        """
        After writing a module, `archdsl compile` builds it on torch's meta device, which computes
        shapes and no numbers, and compares every shape and the number of parameters with what the
        checker worked out. Here they differ.

        The spec is not at fault: this is a mistake in archdsl, or a version of torch that behaves
        differently. Please report it with the spec. Don't use the module that was written.
        """,
    ),
    "A403": _code(
        "a file that would be overwritten",
        """
        `archdsl compile` replaces only files that it wrote itself, which it knows by their first
        line. Another file stands at the place where the module would go.

        Choose another name with `-o other.py`, or replace the file with `--force`.
        """,
    ),
    "A404": _code(
        "not a model that archdsl built",
        """
        `archdsl.optimize` starts from the network that a model was built from, not from its modules. Only
        what `archdsl.build` returns carries one: also copied, pickled, wrapped by torch, with other
        weights in it, or with another classifier by `archdsl.replace_head`. A layer that was exchanged by
        hand, another `eps` or padding, a hook: an engine would compute without them, so such a model is
        refused.

        Build the model from its spec, and load the weights into it. Change what is computed in the spec.
        """,
    ),
    "A405": _code(
        "a model in training mode",
        """
        An engine computes what a model gives in evaluation: batch norm uses its running statistics and
        dropout nothing. A model, or a part of it, in training mode would give something else.

        Call `model.eval()` first.
        """,
    ),
    "A406": _code(
        "images of a size that the engine is not for",
        """
        An engine takes batches, (N, C, H, W), of the image size that the spec states, and of any size where
        the spec leaves it open (`input 3xHxW`) and the layers take it. The number of images is free.

        For another size load the spec with it, `archdsl.load("resnet50", input="3x320x320")`, and build,
        load weights and optimize again.
        """,
    ),
    "A407": _code(
        "a dtype that the engine is not for",
        """
        An engine computes in float32 or bfloat16, on a GPU in float16 too: the model's own, or what
        `dtype=` asks for. Images and outputs have the dtype that the example had.

        Cast the images, or make another engine with an example of theirs.
        """,
    ),
    "A408": _code(
        "a device that the engine is not on",
        """
        The engine runs on one CPU or CUDA GPU, with the model, the example and all images there.

        Move them: `model.cuda()`, `x.cuda()`, or `model.cpu()`, `x.cpu()`.
        """,
    ),
    "A409": _code(
        "a network that can't be exported",
        """
        `archdsl export` has torch write the file, and torch's exporter refused: the message is its
        own. A batch of any size, `--batch dynamic`, asks more of it than a fixed one; ONNX asks more
        than PT2, and holds at most 2 GiB of weights in one file.

        Nothing was written. Try a fixed `--batch`, `--to pt2`, or another version of torch and
        onnxscript.
        """,
    ),
    "A410": _code(
        "an export that could not be confirmed",
        """
        Before a file is left in place it is read back, run on random images, and compared with the
        module and with float64. Here it could not be run, or gave something else than the module.

        Nothing was written: this is a mistake in archdsl, torch or the runtime. Please report it with
        the spec. Where ONNX Runtime is missing, the package onnx runs the file; `pip install
        archdsl[export]` brings both.
        """,
    ),
    "A411": _code(
        "a backend that can't run the network",
        """
        `archdsl.optimize(..., backend="openvino")` asks for one backend by name, and nothing else takes its
        place. There is none of that name, or it has no counterpart of a layer, or it refused the network:
        then the message is its own.

        Leave `backend=` out, and one that can is chosen; `backend="onednn"` runs every network.
        """,
    ),
    # ---- A5xx: networks as backbones ----
    "A501": _code(
        "no tensor of that name",
        """
        A tensor was asked for by a name that the network does not have: in `out=` of
        `archdsl.build(..., features_only=True)`, in `--features`, or in `until=` of `archdsl.freeze`.

        A tensor is called by the label that the spec gives it, `bottleneck(256) x6/2 as c4`, or else as
        the module that makes it: `maxpool3`, `c4.2` for the third copy of a repeat. `freeze` also takes
        what is inside a block, `c4.2.conv1`; a feature it can't be. `network.taps` has the labels, and
        `print(model)` the modules.
        """,
    ),
    "A502": _code(
        "no features to take",
        """
        Features are the tensors that a spec labels at the end of its stages, and this one labels no
        image. Label them:

            bottleneck(256) x6/2 as c4

        or say which tensors are meant, by the modules that make them: `out=["maxpool3", "maxpool4"]`.
        """,
    ),
    "A503": _code(
        "no classifier to replace",
        """
        `archdsl.replace_head` looks for the last layer with weights before each output: an `fc`, or a
        1x1 conv as SqueezeNet has, after which only pooling, an activation, dropout, softmax or a
        change of shape may come. Here there is no such layer, or more than one could be meant.

        A network that was cut down to features, or ends in a normalized conv, has no classifier. Give
        the spec's arch a parameter `classes`, or put a module of your own in its place.
        """,
    ),
    "A504": _code(
        "a model that archdsl did not build",
        """
        `archdsl.freeze` goes by the network that `archdsl.build` made the model from, which tells what
        each tensor is computed from. This module has none: it was written by hand, or comes from a file
        that `archdsl compile` wrote.

        Build it with `archdsl.build`, and load the weights into it: the names in the state_dict are the
        same.
        """,
    ),
    # ---- A6xx: weights ----
    "A601": _code(
        "no weights that can be read",
        """
        `archdsl.load_weights` and `archdsl weights` read a state_dict, a `.pt` of one, a
        `.safetensors`, a Keras model, and its `.weights.h5` or older `.h5`. This is none of them, is
        broken, or holds other things: Python objects, which are never run, links to other files, sparse
        or quantized tensors.

        Save the state_dict alone: `torch.save(model.state_dict(), "net.pt")`; of a Keras model,
        `model.save_weights("net.weights.h5")`.
        """,
    ),
    "A602": _code(
        "weights of another network",
        """
        The source's layers are not the network's: one is missing, one is too many, or one has another
        shape. The message names the first, on both sides. Nothing was loaded.

        Where that is meant, say so: `skip="AuxLogits"` leaves tensors of the source out, `keep="fc"`
        leaves the network's own as they are. Both take names of tensors, of the modules around them, or
        patterns with `*`; for another number of classes both are needed: `skip="fc", keep="fc1"`.
        """,
    ),
    "A603": _code(
        "weights that fit in more than one way",
        """
        Layers of the same kind and shape could be exchanged, and neither the order in which the source
        keeps them nor its names say which is which. Nothing was loaded: a guess would load wrong
        weights silently.

        Give what knows more: the Keras model or the torch module itself, or a `.pt` of its state_dict,
        which keeps the order that `.safetensors` and `.h5` files lose.
        """,
    ),
    "A604": _code(
        "weights that contradict themselves",
        """
        Two things that the source says can't both be true: the numbers in its names and the order in
        which it keeps them, a name that is one of ours and the place where its layer stands, or the
        values of a file that archdsl wrote and what it noted of them then. Tensors were exchanged or
        edited. Nothing was loaded.
        """,
    ),
    # ---- L: lints ----
    "L100": _code(
        "an ignore that takes nothing back",
        """
        A comment `# archdsl: ignore[L101]` takes back the remarks of that code on its line, at the
        start or the end of a step; on a line of its own it speaks of the step below. Here there is
        none of them: what it was for is mended, or the code is not a lint's.

        Wrong:

            arch net {
              default conv(act=relu)
              input 3x32x32
              conv3-64 x2  # archdsl: ignore[L101]
            }

        Right:

            arch net {
              default conv(act=relu)
              input 3x32x32
              conv3-64 x2
            }

        Words after the bracket are yours: say why. An ignore is judged only where the step it stands
        at became layers: a block that nothing calls, or the arm of an `if` that is not taken, says
        nothing about it. `archdsl check --fix` removes those that take nothing back.
        """,
    ),
    "L101": _code(
        "convolutions with nothing between",
        """
        Two convolutions follow each other with no nonlinearity between. Together they are one
        linear map, which a single convolution could do as well; most often an activation was
        forgotten.

        Wrong:

            arch net { input 3x32x32; conv3-64; conv3-64 }

        Right:

            arch net { default conv(act=relu); input 3x32x32; conv3-64; conv3-64 }

        Where it is meant, as in a bottleneck without activation, write `act=none` at the step. To
        take the remark back for one line, end it with `# archdsl: ignore[L101]`.
        """,
    ),
    "L102": _code(
        "every copy strided",
        """
        A stride before the repeat belongs to every copy, so `/2 x3` shrinks the image eightfold.
        Papers mostly mean that only the first copy strides: write the stride after the count.

        Wrong:

            arch net { default conv(act=relu); input 3x32x32; conv3-64/2 x3 }

        Right:

            arch net { default conv(act=relu); input 3x32x32; conv3-64 x3/2 }
        """,
    ),
    "L103": _code(
        "channels written last",
        """
        The input's last size looks like its channels: Keras and image files have height x width x
        channels. Here, as in PyTorch, the channels come first.

        Wrong:

            arch net { input 224x224x3; conv3-64; relu; gap; fc-10 }

        Right:

            arch net { input 3x224x224; conv3-64; relu; gap; fc-10 }
        """,
    ),
    "L104": _code(
        "pixels that lie between windows",
        """
        The window is smaller than the step it moves by, so some rows and columns are never read. A
        kernel of 1 with a stride picks pixels and is taken as meant.

        Wrong:

            arch net { input 3x32x32; conv2-64/3; relu }

        Right:

            arch net { input 3x32x32; conv3-64/3; relu }
        """,
    ),
    "L105": _code(
        "rows that a stride leaves out",
        """
        The windows stop before the end of the image: there is no room for one more step, and the
        last rows or columns are never read. Most often a size became odd before a pool of stride 2.
        Rows of padding may be left over; frameworks say nothing.

        Wrong:

            arch net { input 3x33x33; conv3-64; relu; maxpool }

        Right:

            arch net { input 3x33x33; conv3-64; relu; maxpool(ceil=true) }

        Some published networks do so, as SqueezeNet's stem at 224x224 does. There, end the line with
        `# archdsl: ignore[L105] as published`.
        """,
    ),
    "L106": _code(
        "a step that leads nowhere",
        """
        No output and no label depends on what this step makes: its weights would never be trained.
        Most often a `@name` started anew and the tensor before it was meant to be merged.

        Wrong:

            arch net { input 3x32x32; conv3-64 as stem; relu; conv3-64; @stem; relu }

        Right:

            arch net { input 3x32x32; conv3-64 as stem; add [ relu; conv3-64 | @stem ]; relu }
        """,
    ),
    "L107": _code(
        "a value that nothing reads",
        """
        A parameter or a `let` that its block never reads: whoever gives it changes nothing. A
        parameter `s` that is not read makes `block/2` stride nothing.

        Wrong:

            block pair(f, s=1) { conv3-f; relu; conv3-f; relu }
            arch net { input 3x32x32; pair(64) x2/2 }

        Right:

            block pair(f, s=1) { conv3-f/s; relu; conv3-f; relu }
            arch net { input 3x32x32; pair(64) x2/2 }
        """,
    ),
    "L108": _code(
        "a block or a file that nothing uses",
        """
        No network of this file calls the block, or nothing of the used file is called. A file of
        blocks alone is there for others, and draws no remark.

        Wrong:

            block pair(f) { conv3-f; relu; conv3-f; relu }
            block triple(f) { pair(f); conv3-f; relu }
            arch net { input 3x32x32; pair(64) }

        Right:

            block pair(f) { conv3-f; relu; conv3-f; relu }
            block triple(f) { pair(f); conv3-f; relu }
            arch net { input 3x32x32; triple(64) }
        """,
    ),
    "L109": _code(
        "a label that nothing reads",
        """
        A label within a block can be read in that block only, and nothing there does. In an arch a
        label is also a place where the network can be tapped, and draws no remark.

        Wrong:

            block pair(f) { conv3-f as first; relu; conv3-f; relu }
            arch net { input 3x32x32; pair(64) }

        Right:

            block pair(f) { conv3-f as first; relu; conv3-f; add [ identity | @first ]; relu }
            arch net { input 3x32x32; pair(64) }
        """,
    ),
    "L110": _code(
        "a softmax before the loss",
        """
        The network ends with a softmax, and torch's `cross_entropy`, as most losses do, applies one
        of its own: training would squash twice and learn slowly. The largest logit is the largest
        probability, so a network ends with the layer before.

        Wrong:

            arch net { input 3x32x32; conv3-64; relu; gap; fc-10; softmax }

        Right:

            arch net { input 3x32x32; conv3-64; relu; gap; fc-10 }
        """,
    ),
    "L111": _code(
        "a bias before a norm",
        """
        A batch norm subtracts each channel's mean, and with it any bias added just before: that bias
        is never trained to anything. A norm that the conv carries, `norm=bn`, leaves it out.

        Wrong:

            arch net { input 3x32x32; conv3-64; bn; relu }

        Right:

            arch net { input 3x32x32; conv3-64(norm=bn, act=relu) }

        Where another's weights have such a bias, write `bias=true` at the step or in the default.
        """,
    ),
    "L112": _code(
        "a window larger than the image",
        """
        Part of the window never meets the image, wherever it stands: those weights are multiplied by
        padding alone, cost memory and learn nothing. The image was shrunk too far, or a smaller
        kernel would do.

        Wrong:

            arch net { input 3x32x32; conv3-64; relu; maxpool32; conv3-128; relu }

        Right:

            arch net { input 3x32x32; conv3-64; relu; maxpool32; conv1-128; relu }
        """,
    ),
    "L113": _code(
        "a receptive field larger than the input",
        """
        From this layer on, each position depends on the whole input: further windows add depth and
        no context. Most published networks go beyond it, so this lint is asked for: `archdsl check
        --lint reach`.

        Wrong:

            arch net { input 3x16x16; conv7-64; relu; maxpool; conv7-64; relu }

        Right:

            arch net { input 3x16x16; conv7-64; relu; maxpool; conv3-64; relu }
        """,
    ),
    "L114": _code(
        "channels that matrix units don't like",
        """
        GPUs multiply half-precision matrices in tiles of 8 channels: another count is padded or takes
        a slower kernel. The layer that makes an output has the channels it has. Asked for with
        `archdsl check --lint speed`.

        Wrong:

            arch net { input 3x32x32; conv3-30; relu; gap; fc-10 }

        Right:

            arch net { input 3x32x32; conv3-32; relu; gap; fc-10 }
        """,
    ),
}
