package rocketmqtest

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"time"
)

// routed asks a name server for the route of the topic that every broker brings along. The frame is
// written by hand: a peer that was read with the gateway's own codec would prove less.
func routed(nameServer string) error {
	conn, err := net.DialTimeout("tcp", nameServer, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(3 * time.Second))
	header := `{"code":105,"language":"JAVA","version":493,"opaque":1,"flag":0,"extFields":{"topic":"TBW102"}}`
	frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(header)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(header)))
	if _, err := conn.Write(append(frame, header...)); err != nil {
		return err
	}
	var lengths [8]byte
	if _, err := io.ReadFull(conn, lengths[:]); err != nil {
		return err
	}
	long := binary.BigEndian.Uint32(lengths[4:]) & 0xffffff
	answer := make([]byte, min(long, 1<<16))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	var got struct {
		Code   int    `json:"code"`
		Remark string `json:"remark"`
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		return err
	}
	if got.Code != 0 {
		return fmt.Errorf("code %d: %s", got.Code, got.Remark)
	}
	return nil
}
