package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/collectors/modbus"
	"sluice/gateway/message"
)

const perRequest = 125 // registers, the most that Modbus allows

// openModbus opens a device with the registers 0 to n-1 as points.
func openModbus(buses *bus.Set, address string, numbers []int) (collectors.Device, error) {
	driver := modbus.Driver{Buses: buses}
	o := driver.Options().(*modbus.Options)
	o.Address = address
	for _, n := range numbers {
		p := modbus.Point{Name: fmt.Sprintf("p%d", n)}
		if err := p.Address.UnmarshalText(fmt.Appendf(nil, "holding:%d", n)); err != nil {
			return nil, err
		}
		o.Points = append(o.Points, p)
	}
	return driver.Open("bench", o)
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// driverLoop polls one device as fast as it answers, through the driver: planned, framed, checked and decoded.
func (p *plan) driverLoop(ctx context.Context, _ string) (o outcome, err error) {
	k, err := startDevices(1)
	if err != nil {
		return o, err
	}
	defer k.close()
	buses, err := bus.NewSet(nil)
	if err != nil {
		return o, err
	}
	defer buses.Close()
	device, err := openModbus(buses, "tcp://"+k.addresses[0], upTo(perRequest))
	if err != nil {
		return o, err
	}
	defer device.Close()
	var r message.Reading
	return p.loop(func() error {
		if err := device.Read(ctx, &r); err != nil {
			return err
		}
		if last := r.Points[perRequest-1]; last.Value != message.Uint(perRequest-1) {
			return fmt.Errorf("the last point is %v, %s", last.Value, last.Error)
		}
		return nil
	})
}

// bareLoop sends the same request and reads the same answer on a socket, without looking at it.
func (p *plan) bareLoop(context.Context, string) (o outcome, err error) {
	k, err := startDevices(1)
	if err != nil {
		return o, err
	}
	defer k.close()
	conn, err := net.Dial("tcp", k.addresses[0])
	if err != nil {
		return o, err
	}
	defer conn.Close()
	request := []byte{0, 0, 0, 0, 0, 6, 1, 3, 0, 0, 0, perRequest}
	answer := make([]byte, 9+2*perRequest)
	var id uint16
	return p.loop(func() error {
		id++
		binary.BigEndian.PutUint16(request, id)
		if _, err := conn.Write(request); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, answer); err != nil {
			return err
		}
		if binary.BigEndian.Uint16(answer) != id {
			return errors.New("the answer has another transaction id")
		}
		return nil
	})
}

// loop repeats once for the length of a measurement, after a tenth of it for warming up.
func (p *plan) loop(once func() error) (o outcome, err error) {
	for end := time.Now().Add(p.length / 10); time.Now().Before(end); {
		if err := once(); err != nil {
			return o, err
		}
	}
	began, n := time.Now(), 0
	for time.Since(began) < p.length {
		for range 10 { // the clock is not what is measured
			if err := once(); err != nil {
				return o, err
			}
			n++
		}
	}
	o.rate = float64(n) / time.Since(began).Seconds()
	return o, nil
}
