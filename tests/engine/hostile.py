"""Programs that make life hard for the engine: families, transposed reads and updates in place, in combination."""

HOSTILE = {
    "families of tensors, static axes everywhere": """
vector x[2], y[3], z[2, 3]
T[a,b]{i,j} = tanh(x[a]{i} * y[b]{j} + z[a,b]{j})
S[b,a]{i,j} = sin(T[a,b]{j,i}) + z[a,b]{i}
R[a]{i,j} = sum[b](S[b,a]{i,j} * T[a,b]{j,i})
q[b,a] = T[a,b] @ y[b] + S[b,a]' @ x[a]
output <q[b,a]|x[a]> as o1[a,b]
output avg{i,j}(R[a]{i,j} * S[b,a]{i,j}) as o2[b,a]
output avg(T[1,b]^2) as o3[b]
output avg{i}(T[a,2]{i,i} * S[2,a]{i,i}) as o4[a]
D[a,c]{i,j} = max[b](T[a,b]{i,j} * T[c,b]{j,i})
output avg(D[a,c] * D[c,a]) as o5[a,c]
""",
    "diagonals of families": """
vector x[3], y[3]
T[a,b]{i,j} = tanh(x[a]{i} * y[b]{j})
d[a] = T[a,a] @ x[a]
e[a]{i} = T[a,a]{i,i} + avg{j}(T[a,a]{j,i} * y[a]{j})
G[a,b]{i,j} = T[a,b]{i,j} * T[b,a]{j,i}
output <d[a]|e[a]> as o1[a]
output sum[a](avg(G[a,a])) as o2
output avg{i,j}(G[a,b]{i,j} * T[b,b]{j,j}) as o3[a,b]
output sum[a,b](avg{i}(G[a,b]{i,i} * x[a]{i})) as o4
""",
    "old tensors read after an update": """
vector x, y
v{i,j} = tanh(x{i} * y{j})
w = v
p{i,j} = v{j,i}
for t in 0..4:
    G{i,j} = sin(x{i} + t * y{j})
    u = v
    v = 0.9 * v + 0.1 * G^2
    w = 0.5 * w + v' * G
    output <x|u|y> + <y|w|x> - <x|v|x> as o1
output avg(v * w) + avg(v * p) + avg(p * p') as o2
output avg{i}(v{i,i} * w{i,i}) as o3
""",
    "a tensor used both densely and as factors": """
vector x, y, z
matrix W
T = |x><y|
a = T @ z
S = tanh(T)
b = T' @ (S @ z)
T += |y><z|
c{i} = T{i,i} * a{i}
U = T * S + T'
W -= 0.3 * T
output <a|b> + <c|U @ x> as o1
output <x|W|T @ y> + avg(T^2) as o2
A = T @ T'
output <x|A|y> as o3
""",
    "both of a symmetric matrix and its parts": """
vector x, y
matrix W
A = (W + W') / 2
T{i,j} = tanh(x{i} * y{j})
A -= 0.5 * T
h = A @ x
W -= 0.2 * T'
k = W @ h + A' @ y
A = A' + W - 0.1 * T
W = W' - 0.3 * T
output <h|k> as o1
output <A @ x|W @ k> + <x|A' @ W'|y> as o2
W = 0.5 * W + 0.25 * W' + 0.1 * T
output <x|W|y> as o3
output <x|W'|y> as o4
""",
    "transposed terms into a matrix": """
vector x, y
matrix W, V
for t in 0..4:
    T{i,j} = tanh(x{i} * y{j} + t)
    W -= 0.1 * T'
    V = V' - 0.1 * T
    x = tanh(W @ y)
    y = tanh(V' @ x)
    output <x|y> as o1
W = W' - 0.5 * W + V'
output <x|W|y> as o2
""",
    "an element of a family updated, the family used": """
vector x[2], y
matrix W[2]
for t in 0..3:
    h[l] = W[l] @ x[l]
    T{i,j} = tanh(h[0]{i} * y{j})
    W[0] -= 0.5 * T
    W[1] = W[1]' - 0.5 * T
    g[l] = W[l]' @ h[l]
    x[l] = tanh(g[l] + h[l])
    output <x[l]|y> as o1[l]
k = W[0] @ y + W[1] @ y
output <k|k> as o2
""",
    "a family after one element": """
vector x[2], y
matrix W[2]
T{i,j} = tanh(x[0]{i} * y{j})
A = W[0] - 0.5 * T
a = A @ y
h[l] = W[l] @ x[l]
B = W[1] - T'
b = B @ a
output <a|b> as o1
output <h[l]|b> as o2[l]
""",
    "grids of matrices": """
vector x[3], y
matrix W[2, 3]
h[a,b] = W[a,b] @ x[b]
k[b,a] = W[a,b]' @ h[a,b]
T[a]{i,j} = tanh(h[a,1]{i} * y{j})
W[a,0] -= 0.5 * T[a]
W[1,b] = 0.5 * W[1,b] + 0.1 * T[0]'
q[a,b] = W[a,b] @ k[b,a]
output <q[a,b]|y> as o1[a,b]
output <W[0,b] @ x[b]|W[1,b] @ y> as o2[b]
""",
    "batched adam over a family of matrices": """
import "optimizers.nx"
vector x[2], y
matrix W[3]
for t in 0..3:
    z[0, a] = x[a]
    for l in 0..3:
        z[l + 1, a] = tanh(W[l] @ z[l, a])
    f[a] = <z[3, a]|y>
    loss = sum[a]((f[a] - 1)^2)
    W[l] -= 0.3 * adam(grad(loss, W[l]), eps=1e-2)
    y -= 0.1 * adam(grad(loss, y), eps=1e-2)
    output f
output <W[0] @ x[0]|W[2]' @ y> as o2
""",
    "adam element by element": """
import "optimizers.nx"
vector x, y
matrix W[2]
for t in 0..3:
    h = tanh(W[0] @ x)
    f = <y|W[1] @ h>
    loss = (f - 1)^2
    G0 = grad(loss, W[0])
    G1 = grad(loss, W[1])
    W[0] -= 0.3 * adam(G0, eps=1e-2)
    W[1] -= 0.3 * adam(G1, eps=1e-2)
    r[l] = W[l] @ h
    output f
    output <r[l]|x> as o2[l]
""",
    "order 2 values as the state of a loop": """
vector x, y
m = 0
q = 1
r{i,j} = 1
for t in 0..5:
    g{i,j} = sin(x{i} * y{j} * (t + 1))
    m = 0.9 * m + g
    q = q * 0.5 + (g - m')^2
    r{i,j} = r{j,i} / 2 + m{i,j} / sqrt(1 + q{j,i})
    x = tanh(r @ y + x)
    output <x|y> as o1
output avg{i}(r{i,i} * q{i,i}) as o2
""",
    "averages over one axis": """
vector x[2], y, z
T[a]{i,j} = tanh(x[a]{i} * y{j} + z{i})
r[a]{i} = avg{j}(T[a]{i,j}^2)
c[a]{j} = avg{i}(T[a]{i,j}^2)
N[a]{i,j} = T[a]{i,j} / sqrt((1 + r[a]{i}) * (1 + c[a]{j}))
s[a] = avg{i,j}(N[a]{i,j} * N[a]{j,i})
P[a,b]{i,j} = avg{k}(N[a]{i,k} * N[b]{k,j})
output s
output avg{i,j}(P[a,b]{i,j} * N[a]{i,j}) as o2[a,b]
output <r[a]|c[b]> as o3[a,b]
w[a]{k} = avg{i,j}(N[a]{i,j} * P[a,a]{j,k})
output <w[a]|y> as o4[a]
""",
    "piecewise functions in tiles": """
vector x, y
T{i,j} = where(x{i} > y{j}, min(x{i}, y{j}^2), max(-x{i}, 0.3, y{j}))
S{i,j} = where(T{i,j} <= 0.2, 1, clip(T{j,i}, -0.5, 0.5))
k = avg{i,j}(where(S{i,j} == 1, 1, 0))
z = S @ y + T' @ x
output k
output <z|x> as o2
output avg(min(T, S', 0.1)) as o3
""",
    "scalars and constants among tensors": """
vector x, y
a[k < 3] = 0.5
a[1] = 2
s = <x|y>
C{i,j} = 3
D{i,j} = s
T{i,j} = x{i} + s
U{i,j} = y{j}
E[k]{i,j} = a[k] * C{i,j} + s * D{j,i}
z = C @ x + D @ y + (T + U) @ x
output <z|U @ x> as o1
output avg(C * D) + avg{i}(T{i,i} * U{i,i}) as o2
output avg(E[k] * T) as o3[k]
V{i,j,k} = s
output avg(V) + avg{i,j,k}(V{i,j,k} * x{j}) as o4
W{i,j} = 0
output avg(W) as o5
w = W @ x
output <w|y> as o6
""",
    "order 3 and 4": """
vector x, y, z
T{i,j,k} = tanh(x{i} * y{j} + z{k})
S{i,j} = avg{k}(T{i,j,k} * T{k,i,j})
R{i,j,k} = T{k,j,i} * S{i,j} + T{i,i,k}
a{i} = avg{j,k}(R{i,j,k} * S{k,j})
b{j} = avg{i}(R{i,j,i} * T{j,i,j})
Q{i,j,k,l} = sin(x{i} * y{j} + z{k} * x{l})
c{l} = avg{i,j,k}(Q{i,j,k,l} * Q{l,k,j,i})
d{i} = Q{i,i,i,i} + avg{j}(Q{i,j,i,j})
output <a|b> as o1
output <c|d> as o2
output avg(R) + avg{i,j}(Q{i,j,j,i}) as o3
M{i,j} = avg{k,l}(Q{i,k,j,l} * Q{j,l,i,k})
output <x|M|y> as o4
""",
    "unequal roles of one tensor in one product": """
vector x, y
T{i,j} = tanh(x{i} * y{j} + x{j})
a = avg{i,j,k}(T{i,j} * T{j,k} * T{k,i})
b{i} = avg{j,k}(T{i,j} * T{i,k} * T{j,k})
c = avg{i,j}(T{i,j} * T{j,i} * T{i,i})
U = T @ T @ T' + T'
d = U @ U' @ x
output a
output c
output <b|d> as o3
""",
    "momentum of factored updates with decay": """
import "optimizers.nx"
vector x[2], v
matrix W
for t in 0..6:
    h[a] = W @ x[a]
    f[a] = <v|tanh(h[a])>
    loss = sum[a]((f[a] - 1)^2)
    W = 0.99 * W - 0.2 * nesterov(grad(loss, W))
    v -= 0.1 * momentum(grad(loss, v))
    output f
""",
    "sums of matrices": """
vector x, y
matrix A, B, C[2]
T{i,j} = tanh(x{i} * y{j})
M = A + 2 * B' - C[0]
M -= 0.5 * T
N = M' + M @ A
K[l] = C[l] + M
K[0] -= T'
h = N @ x + M @ y
k[l] = K[l]' @ h
output <h|y> as o1
output <k[l]|x> as o2[l]
M = 0.5 * M
output <x|M|y> as o3
""",
    "normalised updates": """
import "optimizers.nx"
vector x, v
matrix W
for t in 0..3:
    f = <v|tanh(W @ x)>
    G = grad((f - 1)^2, W)
    U = G / sqrt(avg(G^2) + 0.1)
    r{i} = avg{j}(G{i,j}^2)
    U{i,j} = U{i,j} / sqrt(r{i} + 0.1)
    W -= 0.3 * U * min(1, 1 / sqrt(avg(U^2)))
    e = <v|tanh(W @ x)>
    W = W - 0.1 * adafactor(grad(e, W))
    output f
""",
    "a deep chain of tensors": """
vector x, y
T{i,j} = x{i} * y{j}
for t in 0..40:
    T = 0.9 * T + 0.1 * tanh(T')
output <x|T|y> as o1
output avg{i}(T{i,i}) as o2
""",
    "operators at two times": """
vector x, y
matrix W
V = W
for t in 0..4:
    T{i,j} = tanh(x{i} * y{j} * (t + 1))
    W -= 0.2 * T
    V = 0.8 * V + 0.2 * W
    x = tanh(W @ y)
    output <x|V|y> as o1
output <V @ x|W @ y> as o2
""",
    "order 3 made while a tensor of order 2 dies": """
vector x, y
S{i,j} = avg{k}(tanh(x{i} * y{j} + x{k}))
U{i,j,k} = tanh(S{i,j} * y{k})
output avg{i,j,k}(U{i,j,k} * U{k,j,i}) as o1
""",
    "elements of families read in tiles": """
vector x[2], y
G[l]{i,j} = abs(x[l]{i} * x[l]{j} + sin(y{j} - y{j} * x[0]{j}))
T{i,j} = G[0]{i,j}
output avg(T * T') as o1
""",
    "factors read in tiles for the last time": """
vector x[2], y[2]
matrix W
T{i,j} = sum[a](x[a]{i} * y[a]{j})
P = T + 0.5 * (T @ T' @ T) - 0.1 * (T @ T' @ T @ T' @ T)
V = W - P
output <x[0]|W @ V|y[1]> as o1
""",
    "masks along a family": """
vector x[3], y
m[a < 3] = 1
m[2] = 0
T[a]{i,j} = m[a] * x[a]{i} * y{j}
S{i,j} = sum[a](T[a]{i,j})
U{i,j} = mean[a](tanh(T[a]{j,i}))
z = S @ y + U @ y
w{i} = max[a](T[a]{i,i})
output <z|w> as o1
S{i,j} = S{j,i} * S{i,j}
output avg(S * U) as o2
""",
}
