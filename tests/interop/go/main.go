// Other people's implementations of the log's formats, beside ours: what one writes the others read.
//
//	interop read FOLDER FACTS    x/mod, tessera and torchwood read an export and check every proof in FACTS (JSON)
//	interop write FOLDER N       tessera writes a POSIX log of N entries; prints its key
//	interop rate FOLDER WRITERS SECONDS   what tessera's POSIX log takes in that time; prints entries a second
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"filippo.io/torchwood"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "tessera.example/log"

// Facts is what our side says of its log, with proofs that our side made.
type Facts struct {
	LogKey      string   `json:"log_key"`
	WitnessKeys []string `json:"witness_keys"`
	Policy      string   `json:"policy"`
	Size        int64    `json:"size"`
	Inclusion   []struct {
		Index int64    `json:"index"`
		Path  [][]byte `json:"path"`
		File  []byte   `json:"file"`
	} `json:"inclusion"`
	Consistency []struct {
		Size int64    `json:"size"`
		Root []byte   `json:"root"`
		Path [][]byte `json:"path"`
	} `json:"consistency"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 4 {
		log.Fatal("interop read FOLDER FACTS | write FOLDER N | rate FOLDER WRITERS SECONDS")
	}
	ctx := context.Background()
	var err error
	switch os.Args[1] {
	case "read":
		err = read(ctx, os.Args[2], os.Args[3])
	case "write":
		err = write(ctx, os.Args[2], os.Args[3])
	case "rate":
		err = rate(ctx, os.Args[2], os.Args[3:])
	default:
		err = errors.New("no such verb")
	}
	if err != nil {
		log.Fatal(err)
	}
}

func read(ctx context.Context, folder, factsFile string) error {
	data, err := os.ReadFile(factsFile)
	if err != nil {
		return err
	}
	var facts Facts
	if err := json.Unmarshal(data, &facts); err != nil {
		return err
	}
	signed, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return err
	}
	for _, one := range []struct {
		name string
		read func(context.Context, string, []byte, Facts) error
	}{{"x/mod", readMod}, {"tessera", readTessera}, {"torchwood", readTorchwood}} {
		if err := one.read(ctx, folder, signed, facts); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		fmt.Println(one.name)
	}
	return nil
}

// The note with x/mod's reader, the tree with x/mod's own arithmetic over our tiles.
func readMod(ctx context.Context, folder string, signed []byte, facts Facts) error {
	verifier, err := note.NewVerifier(facts.LogKey)
	if err != nil {
		return err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return err
	}
	if len(opened.Sigs) != 1 || len(opened.UnverifiedSigs) != len(facts.WitnessKeys) {
		return fmt.Errorf("%d and %d signatures", len(opened.Sigs), len(opened.UnverifiedSigs))
	}
	head, err := torchwood.ParseCheckpoint(opened.Text)
	if err != nil {
		return err
	}
	if head.N != facts.Size {
		return fmt.Errorf("size %d, not %d", head.N, facts.Size)
	}
	tiles, err := torchwood.NewTileFS(os.DirFS(folder))
	if err != nil {
		return err
	}
	reader := torchwood.TileHashReaderWithContext(ctx, head.Tree, tiles)
	root, err := tlog.TreeHash(head.N, reader)
	if err != nil {
		return err
	}
	if root != head.Hash {
		return errors.New("the tiles make another root")
	}
	for _, one := range facts.Inclusion {
		leaf, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, one.Index)})
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(hashes(one.Path), head.N, head.Hash, one.Index, leaf[0]); err != nil {
			return fmt.Errorf("our proof of %d: %w", one.Index, err)
		}
		theirs, err := tlog.ProveRecord(head.N, one.Index, reader)
		if err != nil {
			return err
		}
		if !same(theirs, one.Path) {
			return fmt.Errorf("another proof of %d", one.Index)
		}
	}
	for _, one := range facts.Consistency {
		if err := tlog.CheckTree(hashes(one.Path), head.N, head.Hash, one.Size, tlog.Hash(one.Root)); err != nil {
			return fmt.Errorf("our proof from %d: %w", one.Size, err)
		}
		theirs, err := tlog.ProveTree(head.N, one.Size, reader)
		if err != nil {
			return err
		}
		if !same(theirs, one.Path) {
			return fmt.Errorf("another proof from %d", one.Size)
		}
	}
	return nil
}

// Tessera's client: checkpoint, proofs from our tiles, entry bundles, and its check of a whole log.
func readTessera(ctx context.Context, folder string, _ []byte, facts Facts) error {
	verifier, err := note.NewVerifier(facts.LogKey)
	if err != nil {
		return err
	}
	files := client.FileFetcher{Root: folder}
	head, _, _, err := client.FetchCheckpoint(ctx, files.ReadCheckpoint, verifier, verifier.Name())
	if err != nil {
		return err
	}
	builder, err := client.NewProofBuilder(ctx, head.Size, files.ReadTile)
	if err != nil {
		return err
	}
	hasher := rfc6962.DefaultHasher
	for _, one := range facts.Inclusion {
		bundle, err := client.GetEntryBundle(ctx, files.ReadEntryBundle, uint64(one.Index)/256, head.Size)
		if err != nil {
			return err
		}
		if int64(len(bundle.Entries)) <= one.Index%256 {
			return fmt.Errorf("the bundle of entry %d is short", one.Index)
		}
		leaf := hasher.HashLeaf(bundle.Entries[one.Index%256])
		path, err := builder.InclusionProof(ctx, uint64(one.Index))
		if err != nil {
			return err
		}
		for _, tried := range [][][]byte{path, one.Path} {
			if err := proof.VerifyInclusion(hasher, uint64(one.Index), head.Size, leaf, tried, head.Hash); err != nil {
				return fmt.Errorf("entry %d: %w", one.Index, err)
			}
		}
	}
	for _, one := range facts.Consistency {
		path, err := builder.ConsistencyProof(ctx, uint64(one.Size), head.Size)
		if err != nil {
			return err
		}
		for _, tried := range [][][]byte{path, one.Path} {
			if err := proof.VerifyConsistency(hasher, uint64(one.Size), head.Size, tried, one.Root, head.Hash); err != nil {
				return fmt.Errorf("from %d: %w", one.Size, err)
			}
		}
	}
	check := fsck.New(verifier.Name(), verifier, files, bundleHashes, fsck.Opts{N: 1})
	return check.Check(ctx)
}

func bundleHashes(data []byte) ([][]byte, error) {
	var found [][]byte
	for len(data) > 0 {
		entry, rest, err := torchwood.ReadTileEntry(data)
		if err != nil {
			return nil, err
		}
		found, data = append(found, rfc6962.DefaultHasher.HashLeaf(entry)), rest
	}
	return found, nil
}

// Torchwood: our trust card as a tlog-policy, every entry through its client, our tlog-proof files.
func readTorchwood(ctx context.Context, folder string, signed []byte, facts Facts) error {
	policy, err := torchwood.ParsePolicy([]byte(facts.Policy))
	if err != nil {
		return err
	}
	head, _, err := torchwood.VerifyCheckpoint(signed, policy)
	if err != nil {
		return err
	}
	for _, key := range facts.WitnessKeys {
		if _, err := torchwood.NewCosignatureVerifier(key); err != nil {
			return err
		}
	}
	tiles, err := torchwood.NewTileFS(os.DirFS(folder))
	if err != nil {
		return err
	}
	reader, err := torchwood.NewClient(tiles)
	if err != nil {
		return err
	}
	leaves := map[int64][]byte{}
	for index, entry := range reader.AllEntries(ctx, head.Tree, 0) {
		leaves[index] = bytes.Clone(entry)
	}
	if err := reader.Err(); err != nil {
		return err
	}
	if int64(len(leaves)) != head.N {
		return fmt.Errorf("%d entries of %d", len(leaves), head.N)
	}
	for _, one := range facts.Inclusion {
		if err := torchwood.VerifyProof(policy, tlog.RecordHash(leaves[one.Index]), one.File); err != nil {
			return fmt.Errorf("our file of %d: %w", one.Index, err)
		}
		if !bytes.Equal(torchwood.FormatProofWithExtraData(one.Index, leaves[one.Index], hashes(one.Path), signed), one.File) {
			return fmt.Errorf("another file of %d", one.Index)
		}
		if err := torchwood.VerifyProof(policy, tlog.RecordHash(leaves[(one.Index+1)%head.N]), one.File); err == nil {
			return fmt.Errorf("our file of %d proves another entry", one.Index)
		}
	}
	return nil
}

func hashes(path [][]byte) []tlog.Hash {
	found := make([]tlog.Hash, len(path))
	for at, one := range path {
		found[at] = tlog.Hash(one)
	}
	return found
}

func same[T ~[]tlog.Hash](theirs T, ours [][]byte) bool {
	if len(theirs) != len(ours) {
		return false
	}
	for at, one := range theirs {
		if !bytes.Equal(one[:], ours[at]) {
			return false
		}
	}
	return true
}

func appender(ctx context.Context, folder string, batch uint, age time.Duration) (
	*tessera.Appender, func(context.Context) error, tessera.LogReader, string, error,
) {
	private, public, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, nil, nil, "", err
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		return nil, nil, nil, "", err
	}
	driver, err := posix.New(ctx, posix.Config{Path: folder})
	if err != nil {
		return nil, nil, nil, "", err
	}
	options := tessera.NewAppendOptions().WithCheckpointSigner(signer).WithBatching(batch, age).
		WithCheckpointInterval(100 * time.Millisecond)
	made, stop, reader, err := tessera.NewAppender(ctx, driver, options)
	return made, stop, reader, public, err
}

func write(ctx context.Context, folder, count string) error {
	wanted, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	made, stop, reader, key, err := appender(ctx, folder, 256, 50*time.Millisecond)
	if err != nil {
		return err
	}
	await := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 20*time.Millisecond)
	futures := make([]tessera.IndexFuture, wanted)
	for n := range wanted {
		futures[n] = made.Add(ctx, tessera.NewEntry([]byte(fmt.Sprintf("entry %d", n))))
	}
	for _, future := range futures {
		if _, _, err := await.Await(ctx, future); err != nil {
			return err
		}
	}
	fmt.Println(key)
	return stop(ctx)
}

func rate(ctx context.Context, folder string, more []string) error {
	writers, err := strconv.Atoi(more[0])
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseFloat(more[1], 64)
	if err != nil {
		return err
	}
	made, stop, _, _, err := appender(ctx, folder, uint(max(1, writers)), 2*time.Millisecond)
	if err != nil {
		return err
	}
	var done atomic.Int64
	var waiting sync.WaitGroup
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	start := time.Now()
	for number := range writers {
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			entry := make([]byte, 400)
			for n := 0; time.Now().Before(end); n++ {
				copy(entry, fmt.Sprintf("%d %d", number, n))
				// The index is given once the entry is durable; as ours, without waiting for a checkpoint.
				if _, err := made.Add(ctx, tessera.NewEntry(bytes.Clone(entry)))(); err != nil {
					log.Fatal(err)
				}
				done.Add(1)
			}
		}()
	}
	waiting.Wait()
	fmt.Println(float64(done.Load()) / time.Since(start).Seconds())
	return stop(ctx)
}
