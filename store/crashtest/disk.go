package crashtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// event is what happened to a disk: a write, a flush, or a line that the worker said.
type event struct {
	kind byte // 'w', 'f', 'm'
	at   int64
	data []byte
}

// Disk is a file of fixed size in a FUSE file system: a loop device over it is a disk of which every
// write and flush is known.
type Disk struct {
	fs.Inode
	base   *os.File
	size   int64
	server *fuse.Server

	mu     sync.Mutex // guards what follows
	events []event
}

// File is the disk's name below the folder where it is mounted.
const File = "disk"

// MountDisk shows the image at path as a disk below folder.
func MountDisk(folder, path string) (*Disk, error) {
	base, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	info, err := base.Stat()
	if err != nil {
		return nil, err
	}
	d := &Disk{base: base, size: info.Size()}
	d.server, err = fs.Mount(folder, &directory{disk: d}, &fs.Options{MountOptions: fuse.MountOptions{DirectMount: true, MaxWrite: 1 << 20}})
	if err != nil {
		base.Close()
		return nil, fmt.Errorf("mount the disk: %w", err)
	}
	return d, nil
}

// Unmount takes the disk away; its events stay.
func (d *Disk) Unmount() error {
	err := d.server.Unmount()
	if err == nil {
		d.server.Wait()
	}
	return errors.Join(err, d.base.Close())
}

// Mark puts a worker's line among the writes: what it tells had happened before every later event.
func (d *Disk) Mark(line string) { d.log(event{kind: 'm', data: []byte(line)}) }

func (d *Disk) log(e event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

// Events says how much has happened to the disk: the places where it can be cut.
func (d *Disk) Events() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.events)
}

type directory struct {
	fs.Inode
	disk *Disk
}

// OnAdd puts the one file there.
func (r *directory) OnAdd(ctx context.Context) {
	r.AddChild(File, r.NewPersistentInode(ctx, r.disk, fs.StableAttr{Mode: syscall.S_IFREG}), false)
}

// Getattr tells the size.
func (d *Disk) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = 0o600, uint64(d.size)
	return 0
}

// Setattr changes nothing: a disk has its size.
func (d *Disk) Setattr(ctx context.Context, file fs.FileHandle, _ *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return d.Getattr(ctx, file, out)
}

// Open lets nobody cache what is written.
func (d *Disk) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

// Read gives what was written last, flushed or not.
func (d *Disk) Read(_ context.Context, _ fs.FileHandle, to []byte, at int64) (fuse.ReadResult, syscall.Errno) {
	n, err := d.base.ReadAt(to, at)
	if err != nil && err != io.EOF {
		return nil, syscall.EIO
	}
	return fuse.ReadResultData(to[:n]), 0
}

// Write logs and writes.
func (d *Disk) Write(_ context.Context, _ fs.FileHandle, data []byte, at int64) (uint32, syscall.Errno) {
	d.log(event{'w', at, append([]byte(nil), data...)})
	if _, err := d.base.WriteAt(data, at); err != nil {
		return 0, syscall.EIO
	}
	return uint32(len(data)), 0
}

// Fsync logs the flush: everything before it survives a power cut.
func (d *Disk) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	d.log(event{kind: 'f'})
	return 0
}

// Allocate is what a loop device would punch holes with: it then writes zeros instead.
func (d *Disk) Allocate(context.Context, fs.FileHandle, uint64, uint64, uint32) syscall.Errno {
	return syscall.EOPNOTSUPP
}
