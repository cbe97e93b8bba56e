# Benchmark programs: bench/x_bench.cpp, and bench/peers/x_PEER.cpp for each peer whose library is installed.
