module sluice/bench/rocketmq

go 1.26.8

require sluice v0.0.0

require github.com/klauspost/compress v1.20.3 // indirect

replace sluice => ../..
