package scenarios;
public final class Scenarios { public static void main(String[] a) { System.out.println("hi"); } }
