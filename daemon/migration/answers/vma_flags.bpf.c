// Lists the mappings of a process with their flags, as three numbers each: start,
// limit, vm_flags. Part of the kernel while a VmaFlagReader lives.
//
// An iterator over mappings (Linux 5.12), of one process (6.1). The structures are
// the kernel's, of which only what is read is named: where it lies is found out
// when this is loaded.

#define IN_SECTION(name) __attribute__((section(name), used))
#define OF_THE_KERNEL __attribute__((preserve_access_index))

struct seq_file;

struct bpf_iter_meta {
  struct seq_file* seq;
} OF_THE_KERNEL;

struct vm_area_struct {
  unsigned long vm_start;
  unsigned long vm_end;
  unsigned long vm_flags;
} OF_THE_KERNEL;

struct bpf_iter__task_vma {
  struct bpf_iter_meta* meta;
  struct vm_area_struct* vma;
} OF_THE_KERNEL;

// Helper 127 of bpf-helpers(7), which is for programs under the GPL.
static long (*bpf_seq_write)(struct seq_file* seq, const void* data,
                             unsigned size) = (void*)127;

char LICENSE[] IN_SECTION("license") = "Dual MIT/GPL";

IN_SECTION("iter/task_vma")
int list_mappings(struct bpf_iter__task_vma* step) {
  struct vm_area_struct* vma = step->vma;
  if (!vma) return 0;
  unsigned long record[3] = {vma->vm_start, vma->vm_end, vma->vm_flags};
  bpf_seq_write(step->meta->seq, record, sizeof(record));
  return 0;
}
