package rocketmqgrpc_test

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

// bare sends and receives bytes, as a client whose stubs are newer would.
type bare struct{}

func (bare) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (bare) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

func (bare) Name() string { return "proto" }

const servicePath = "/apache.rocketmq.v2.MessagingService/"

// invoke makes a call that the stubs do not know.
func (c peerClient) invoke(call string, request []byte) (answer []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	if err := c.conn.Invoke(ctx, servicePath+call, &request, &answer, grpc.ForceCodecV2(bare{})); err != nil {
		c.t.Fatalf("%s: %v", call, err)
	}
	return answer
}

// pull gives the parts of the answer to PullMessage.
func (c peerClient) pull(request []byte) (parts [][]byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	stream, err := c.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, servicePath+"PullMessage", grpc.ForceCodecV2(bare{}))
	if err != nil {
		c.t.Fatal(err)
	}
	if err := errors.Join(stream.SendMsg(&request), stream.CloseSend()); err != nil {
		c.t.Fatal(err)
	}
	for {
		var part []byte
		switch err := stream.RecvMsg(&part); {
		case errors.Is(err, io.EOF):
			return parts
		case err != nil:
			c.t.Fatal(err)
		}
		parts = append(parts, part)
	}
}
