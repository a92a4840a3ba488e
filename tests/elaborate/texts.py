"""Small programs through every construct; `readings.with_probes` turns lines `?v x` into outputs."""

GRADIENTS = {
    "static sums": """param M = 3, d = 2
data xi[M, d] = normal(seed=1)
vector u[d], v
h[a] = sum[k](xi[a, k] * u[k])
f[a] = <v | tanh(h[a])>
loss = sum[a](f[a]^2) + mean[a](f[a]^3) + max[a](f[a])
g[k] = grad(loss, u[k])
?v g[k]
gv = grad(loss, v)
?v gv
gh[a] = grad(loss, h[a])
?v gh[a]
gf[a] = grad(loss, f[a])
output gf
whole = grad(loss, u)
?v whole[k]
""",
    "max ties": """vector x, y
z[0] = x
z[1] = x
z[2] = y
m = max[k](z[k])
s = avg(m^2 * y)
g[k] = grad(s, z[k])
?v g[k]
gx = grad(s, x)
?v gx
c[a < 3] = 1
top = max[a](c[a])
gc[a] = grad(top, c[a])
output gc
""",
    "many max": """vector x, y, z
s = avg(max(x, y, z, 0.1)^2 + min(x, y, z) * y + clip(x, -0.5, 0.5)^2 * z)
gx = grad(s, x); gy = grad(s, y); gz = grad(s, z)
?v gx
?v gy
?v gz
t = avg(max(x, x, y) * z)
gt = grad(t, x)
?v gt
""",
    "where": """vector x, y
s = avg(where(x > y, x * y, where(x <= 0, x^2, sin(y))))
gx = grad(s, x); gy = grad(s, y)
?v gx
?v gy
""",
    "unchosen": """def f(x) = where(x > 0, log(x) / x, x)
vector x
z = relu(x)
s = avg(where(z > 0, sqrt(z), 2 * z))
g = grad(s, z)
?v g
q = avg(f(x))
gx = grad(q, x)
?v gx
""",
    "scalars": """vector x, y
a = <x|y>
b = a^2 + 1
c = sqrt(b) / (1 + a^2)
s = c * <x|x> - b / c
ga = grad(s, a); gb = grad(s, b); gc = grad(s, c)
output ga
output gb
output gc
gx = grad(s, x)
?v gx
""",
    "trainable scalar": """vector x
s = 1
t = 1
loss = avg((s * x - 1)^2) + (t - 1)^2 + 1
g = grad(loss, s); h = grad(loss, t)
output g
output h
s -= 0.1 * g
output s
loss2 = avg((s * x - 1)^2) + 1
output grad(loss2, s) as g2
""",
    "declared scalars": """import "optimizers.nx"
vector x, y, b = 0, one = 0.3
scalar s = 1, t ~ N(0.5, 2), c[3] ~ N(0, 1), k[2, 2] = 0.5
matrix W, Z = 0
for step_ in 0..2:
    h = t * (W @ x) + s * y + sum[a](c[a]) * (b + x) + Z @ y + one * k[0, 1]
    loss = avg(tanh(h)^2) + s^2 * t + sum[a](c[a]^2 * t)
    output grad(loss, s) as gs
    output grad(loss, t) as gt
    g = grad(loss, c)
    output g
    GZ = grad(loss, Z)
    output <x|GZ|y> as probe_Z
    gb = grad(loss, b)
    output <x|gb> as probe_b
    scalar q ~ N(1, 0.5)
    s -= 0.1 * q * adam(grad(loss, s))
    t = 0.9 * t - 0.1 * momentum(grad(loss, t))
    c -= 0.5 * signsgd(g)
    c[1] -= 0.1
    k[0, 1] += grad(loss, k[0, 1])
    Z -= 0.5 * GZ
    b -= gb
    output s
    output t
    output c
    output k
""",
    "scalar family": """vector x, y
b[a < 3] = 1
w[0] = x; w[1] = y; w[2] = x * y
loss = avg(sum[a](b[a] * w[a])^2)
g[a] = grad(loss, b[a])
output g
b -= 0.1 * grad(loss, b)
output b
b[1] -= 0.2
loss2 = avg(sum[a](b[a] * w[a])^2)
h = grad(loss2, b)
output h
output grad(loss2, b[1]) as one
""",
    "alias": """vector x
y = x
s = <x|x> + 3 * <y|y>
gx = grad(s, x); gy = grad(s, y)
?v gx
?v gy
a = 2
b = a
t = a * b^2
output grad(t, a) as ga
output grad(t, b) as gb
""",
    "transposed shared": """vector x, y
matrix W
h = W @ x
k = W' @ tanh(h)
l = W @ (k * y)
s = <l|y> + <x|W'|y>
G = grad(s, W)
?t G
gx = grad(s, x)
?v gx
gk = grad(s, k)
?v gk
W -= 0.5 * G
z = W @ x
e = avg(z^2)
H = grad(e, W)
?t H
""",
    "operators": """vector x, y
matrix W, V
c = <x|y> + 1
A = (W + c * V') / sqrt(2) - 0.5 * |x><y|
B = A @ A' + 2 * V
z = B @ tanh(A' @ x)
s = <z|y> * c + avg(A @ y)
GW = grad(s, W); GV = grad(s, V); gc = grad(s, c); GA = grad(s, A); GB = grad(s, B); gx = grad(s, x); gy = grad(s, y)
?t GW
?t GV
?t GA
?t GB
?v gx
?v gy
output gc
""",
    "tensor products": """vector x, y
T = tanh(|x><y|)
S{i,j} = sin(x{i} + y{j})
A = 2 * T + 3 * (T @ S' @ T)
z = A @ y
s = <z|x> + <x|A|A' @ y>
GT = grad(s, T); GS = grad(s, S); GA = grad(s, A); gx = grad(s, x)
?t GT
?t GS
?t GA
?v gx
""",
    "operator families": """vector x, y
matrix A[3]
c[l < 3] = 0.5
c[1] += 1
B[l] = c[l] * A[l]' + A[l]
M = sum[l](c[l] * B[l])
N = mean[l](A[l] @ B[l])
z = M @ x + N @ y
w[l] = B[l] @ z
s = sum[l](<w[l]|y>) + <z|x>
g[l] = grad(s, c[l])
output g
GA[l] = grad(s, A[l])
?t GA[l]
GB = grad(s, B)
?t GB[l]
G1 = grad(s, A[1])
?t G1
gx = grad(s, x)
?v gx
""",
    "elements": """vector x, y
matrix W[3]
W[0] -= 0.1 * |x><y|
h[0] = x
for l in 0..3:
    h[l + 1] = tanh(W[l] @ h[l])
s = <h[3]|y>
for l in 0..3:
    G = grad(s, W[l])
    Q[l] = G
?t Q[l]
H = grad(s, W)
?t H[l]
for l in 0..4:
    g = grad(s, h[l])
    q[l] = g
?v q[l]
gg[l] = grad(s, h[l])
?v gg[l]
W[1] -= H[1]
s2 = <W[0] @ x | W[2] @ W[1] @ y>
G0 = grad(s2, W[0])
?t G0
K = grad(s2, W)
?t K[l]
""",
    "batch": """param M = 3, d = 2
data xi[M, d] = normal(seed=1)
vector u[d], v
matrix W
h[a] = sum[k](xi[a, k] * u[k])
x[a] = W @ tanh(h[a])
f[a] = <v | tanh(x[a])>
Theta[a, b] = <grad(f[a], v) | grad(f[b], v)> + sum[k](<grad(f[a], u[k]) | grad(f[b], u[k])>)
Theta[a, b] += avg(grad(f[a], W) * grad(f[b], W))
output Theta
g[a] = grad(f[a], h[a])
?v g[a]
q[a, b] = f[b] * grad(f[a], v)
?v q[a, b]
GW[a] = grad(f[a], W)
?t GW[a]
one = grad(f[1], h[1])
?v one
gu[a, k] = grad(f[a], u[k])
?v gu[a, k]
p[a, b] = <x[a] | h[b]>
dp[a, b] = grad(p[a, b], h[b])
?v dp[a, b]
ddp[a, b] = grad(p[a, b], x[a])
?v ddp[a, b]
dq[a] = grad(p[a, a], x[a])
?v dq[a]
loss = sum[a](f[a]^2)
dl[a] = grad(loss, f[a])
output dl
""",
    "diagonals": """vector x, y
matrix W
T{i,j} = tanh(x{i} * y{j}) + (W @ x){j}
d{i} = T{i,i}
s = <d|T @ y> + avg(d^2)
gx = grad(s, x); gy = grad(s, y); GW = grad(s, W)
?v gx
?v gy
?t GW
U{i,j,k} = x{i} * y{j} + x{k}
e{i} = avg{k}(U{i,i,k} * U{k,i,k})
t = <e|y>
hx = grad(t, x)
?v hx
""",
    "clip of crossed bounds": """vector x, z
s = avg(clip(x, -z, 0.5)^2 * z)
g = grad(s, z)
?v g
g2 = grad(avg(clip(x, z, x * z)), x)
?v g2
""",
    "order three": """vector x, y
matrix W
T{i,j,k} = sin(x{i} * y{j} + (W @ x){k})
y2{j} = avg{i,k}(T{i,j,k} * T{k,j,i})
s = <y2|y> + avg(T^2)
g = grad(s, x)
?v g
GW = grad(s, W)
?t GW
S{i,j} = avg{k}(T{i,j,k} * T{j,k,i})
s2 = avg{i,j}(S{i,j} * S{j,i}) + <x|S|y>
g2 = grad(s2, x)
?v g2
GT = grad(s2, T)
output avg{i,j,k}(GT{i,j,k} * probe1{i} * probe2{j} * x{k}) as cubic
GS = grad(s2, S)
?t GS
""",
    "def": """def phi(h, c) = h * (1 + erf(h / sqrt(2))) / 2 + c * where(h > 0.3, h^2, cos(h))
def psi(h) = phi(h, 2) / (1 + phi'(h, 1)^2)
vector x, y
s = avg(phi(x, y) * psi(y)) + avg(phi'(x, y) * phi''(y, x))
gx = grad(s, x); gy = grad(s, y)
?v gx
?v gy
""",
    "grow": """vector x, y
G = 0
for t in 0..3:
    G += |x><y|
    G{i,j} += x{i} * (1 + y{j})
?t G
H = 0
H{i,j} += 2
H *= 3
z = 1
z += x
?v z
""",
    "softmax": """param P = 3
vector w[P], u, v
matrix W
x[p] = (W @ w[p]) * u + v
k[p, q] = <x[p] | x[q]>
a[p, q] = exp(k[p, q]) / sum[r](exp(k[p, r]))
y[p] = sum[q](a[p, q] * sigmoid(x[q]))
s = mean[p](<y[p]|v>) + max[p](<x[p]|u>)
gw[p] = grad(s, w[p])
?v gw[p]
gk = grad(s, k)
output gk
ga = grad(s, a[0, 1])
output ga
G = grad(s, W)
?t G
""",
    "families grad": """param T = 3, M = 2
vector x[M], w
matrix W
h[0, a] = x[a]
for t in 0..T:
    h[t + 1, a] = tanh(W @ h[t, a]) + w
f[a] = <h[T, a] | w>
s = sum[a](f[a]^2)
g[t, a] = grad(s, h[t, a])
?v g[t, a]
q = grad(s, h)
?v q[t, a]
r[t, a] = grad(f[a], h[t, a])
?v r[t, a]
u = grad(s, h[1, 0])
?v u
h[1, 0] += w
""",
    "grad in place": """vector x, y
matrix W
?v grad(<x|W|y>, x)
?t grad(<x|W|y>, W)
T{i,j} = grad(<x|W|y>, W){i,j} * y{i}
?t T
z = grad(<x|W|y>, W) @ x
?v z
output <grad(<x|y>^2, x) | y> as q
""",
}

LANGUAGE = {
    "n": """vector x
y = x / sqrt(n) + n * (1/n) * x
s = 1 / sqrt(n)
output s
output n * (1 / n) as one
output avg(y^2) / n^0.5 as q
a[k < 3] = 1 / n
output a
output max(n, 3) as m
output where(n > 4, 1, 2) as w
output n
output sum[k < 3](2 / n) as t
""",
    "families": """param T = 4, M = 2
vector x[M], w
h[0, a] = x[a]
for t in 0..T:
    h[t + 1, a] = tanh(h[t, a]) + t * w
    h[t + 1, 0] += w
    k[a, b] = <h[t, a] | h[t + 1, b]>
    output k
s = sum[t](<h[t, 0]|w>)
output s
m[t, a] = <h[t, a] | w>
output m
for t in 0..2:
    h[0, a] = x[a] * t
    for l in 0..2:
        h[l + 1, a] = h[l, a] + h[4, a]
    p[t, a] = <h[2, a] | w>
output p
""",
    "whole updates": """import "optimizers.nx"
param M = 3
vector u[M], x
matrix W[2]
s = 1
b[a < M] = 0.5
for t in 0..3:
    f = sum[a](<u[a]|x>^2 * b[a]) + s^2 + <x|W[0]|x> * <x|W[1]|u[0]>
    u -= 0.1 * adam(grad(f, u))
    W = 0.9 * W - 0.1 * momentum(grad(f, W), beta=0.5)
    s -= 0.1 * rmsprop(grad(f, s))
    b -= 0.1 * lion(grad(f, b), 0.8)
    h = sum[a](b[a]^2)
    b[1] -= 0.1 * lion(grad(h, b[1]))
    output f
?v u[a]
?s b[a]
""",
    "optimizer args": """optimizer o(a, b=2):
    state m = 0
    if step % 2 == 0: m = 0
    m = m + g * a
    if step == 1: return m
    elif b > 2: return m * b
    else: return -m
vector p, x
for t in 0..4:
    f = <p|x>^2
    p -= 0.1 * o(grad(f, p), 0.5)
    q = <p|p>
    p = 0.9 * p + o(grad(q, p), a=0.1, b=3)
output <p|x>
""",
    "state names": """param m = 3, d = 2
import "optimizers.nx"
optimizer rows(lr):
    state a = 1
    a = a * 2
    k = 0
    k += 3
    if a > 3: return lr * row_mean(g) + col_mean(g)
    return g * rms(g) * k
vector x, y
matrix W
for t in 0..3:
    f = <x|W|y>^2
    W -= rows(grad(f, W), m / d)
    x -= adadelta(grad(f, x))
    output f
""",
    "rms free": """optimizer o():
    return g / (rms(g) + row_mean(g)^2)
vector x, y, v[2]
matrix W[2]
f = <x|W[0]|y>^2 + <y|W[1]|y> + <v[0]|x>^2 + 3 * <v[1]|y>
W[l] -= o(grad(f, W[l]))
v[0] -= o(grad(f, v[0]))
f2 = <x|W[0]|y>^2 + <y|W[1]|y> + <v[0]|x>^2 + 3 * <v[1]|y>
output f2
G = 0
G{i,j} += x{i} * y{j}
t = avg(G^2)
G -= o(grad(t, G))
?t G
""",
    "matrix kinds": """vector x, y, b ~ N(0, 0)
matrix W, R ~ N(0, 2/n)
W -= |x><y|
W = (1 - 0.1) * W - 0.2 * |y><x|
output <x|W|y>
W *= 2
output <x|W' @ W @ y> as two
b -= 0.5 * x
b += 1
output <b|x> as three
v = b
v = 3
output v
x = 1
output avg(x) as four
T{i,j} = x{i} * y{j}
A = (R + T') / sqrt(2)
output <y|A|y> as five
A -= 0.5 * T @ R
A += A'
output <y|A|y> as six
P{i,j} = 1
P{i,j} += y{j}
P{i,j} *= y{i}
output avg(P^2) as seven
""",
    "braces": """vector x, y
matrix W
T{i,j} = sign(x{i} * y{j})
z{i} = avg{j}(T{i,j} * y{j}) * (W @ x){i} + avg(x * y)
w{i} = avg{j,k}(tanh(x{i} * x{j} + y{k}))
r{i} = avg{j}(T{i,j}^2)
one{i} = 1
s = sqrt(avg{i,j}(T{i,j}^2))
S{j,i} = T{i,j} + x{j} * avg{k}(y{k} * T{k,i})
U{i,j,k} = x{i} + avg{l}(y{l} * T{j,l}) * x{k} + T{k,i}
q{k} = U{k,k,k} + avg{i}(U{i,k,i})
V{i,k} = U{i,k,i} * T'{k,i}
?v z
?v w
?v r
?v one
?t S
?v q
?t V
output s
c = avg{i}(x{i} * avg{j}(y{j} * x{j} * x{i}))
output c
d{i} = sum[k < 3](2 * x{i})
?v d
""",
    "chains": """vector x, y
matrix A, B, C
z = A @ B @ C @ x
w = (A @ B) @ C' @ x + (2 * A @ B) @ y
D = A @ B @ C
E = D' + B
?v z
?v w
v = E' @ E @ x
?v v
T = |x><y|
F = T @ T' @ A
u = F @ y + T @ B @ x
?v u
output <x|T|y> + <x|T @ A|y> as t
""",
    "stop": """vector x
matrix W
h = W @ x
s = <h|stop(h)> + avg(stop(x) * x^2) + <x|stop(W)|x>
gx = grad(s, x)
?v gx
GW = grad(s, W)
?t GW
gh = grad(s, h)
?v gh
l = <gx|h>
g2 = grad(l, x)
?v g2
""",
    "nested loops outputs": """for t in 0..2:
    for r in 0..3:
        output t + 10 * r as a
        if r % 2 == 0: output r as b
    output t as c
    if t == 0:
        e = t + 5
    elif t == 1: e = 7; f = 2
    else:
        e = 8
    output e
output f + e
output 3
""",
    "param chain": """param a = 2, b = a^2 + 1, c = b % 3, d = -a^2, e = 2^-1, f = 7 / 2
data z[a, b] = normal(seed=1)
data q = 3
output a + b + c
output d + e + f
output sum[i, j](z[i, j]) as zz
output mean[i](z[i, 0]) as z0
output max[i](max[j](z[i, j])) as z1
output q
output z
output z[1, 2]
output erf(1) + max(1, 2, 3) + where(a > 1, 5, 6)
""",
    "greek": """vector α, µ
β = <α|μ>
output β
""",
    "semantics of for all": """x[0] = 1
x[1] = 2
x[2] = 4
x[a] -= sum[b](x[b])
output x
y[a < 3] = 2
y[1] *= 3
y[0] = 5
output y
y /= 2
output y[1]
z[a, b] = x[a] * y[b]
z[a < 3, 1] = 7
z[2, 2] += 1
output z
z[a, b] = z[b, a]
output z[0, 1] as zz
""",
    "sum operators": """vector x, y
matrix A[3]
c[l < 3] = 2
M = sum[l](c[l] * A[l])
N = mean[l](A[l]')
z = M @ x + N @ y
B[l] = (A[l] + A[l]') / sqrt(2)
w[l] = B[l] @ z
?v z
?v w[l]
A[1] -= |x><y|
C[l] = c[l] * A[l]
v = sum[l](C[l] @ x)
?v v
u = sum[l](C[l]) @ x + sum[l < 2](M) @ y
?v u
""",
}
