"""The engine on a GPU: every fused layer by the fastest kernel at hand, on one arena, in one CUDA graph.

plan ─problem─▶ question ─hand─▶ candidates ─choose (book, cost)─▶ choice ─program─▶ launches ─▶ CUDA graph
"""
